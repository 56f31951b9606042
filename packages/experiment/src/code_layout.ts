/** Code that is laid out by its width: a text, or brackets with items, on one line where they fit. */
export type Code = string | Bracketed;

interface Bracketed {
  readonly open: string;
  readonly items: readonly Code[];
  readonly close: string;
  /** Whether each item has a line of its own, however short they are. */
  readonly tall: boolean;
}

/** `open item, item close`; braces have spaces within. */
export function bracketed(open: string, items: readonly Code[], close: string, tall = false): Code {
  return items.length === 0 ? open + close : { open, items, close, tall };
}

/** `name(a, b, { option: value })`: what is last opens and closes with the call. */
export function call(name: string, args: readonly Code[]): Code {
  const last = args.at(-1);
  const before = args.slice(0, -1);
  if (last === undefined || typeof last === 'string' || before.some((arg) => typeof arg !== 'string')) {
    return bracketed(`${name}(`, args, ')');
  }
  const beginning = before.map((arg) => `${arg}, `).join('');
  return { ...last, open: `${name}(${beginning}${last.open}`, close: `${last.close})` };
}

/** `{ name: value }`; a value that is called as its name stands alone. Undefined values are left out. */
export function object(entries: { readonly [name: string]: Code | undefined }): Code {
  const items = Object.entries(entries).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return [value === name ? name : prefixed(`${propertyName(name)}: `, value)];
  });
  return bracketed('{', items, '}');
}

/** JSON as code: quotes are single, names without need of them have none. */
export function literal(value: unknown): Code {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return bracketed('[', value.map(literal), ']');
  if (typeof value !== 'object' || value === null) return String(value);
  return object(Object.fromEntries(Object.entries(value).map(([name, child]) => [name, literal(child)])));
}

export function quoted(text: string): string {
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'");
  return `'${escaped}'`;
}

/** A text before a code: `const model = …`. */
export function prefixed(prefix: string, code: Code): Code {
  return typeof code === 'string' ? prefix + code : { ...code, open: prefix + code.open };
}

/** A code and what stands behind it: `;`. */
export function suffixed(code: Code, suffix: string): Code {
  return typeof code === 'string' ? code + suffix : { ...code, close: code.close + suffix };
}

const width = 100;

/** The code as text, its first line being indented by whoever puts it there. */
export function layOut(code: Code, indent = 0): string {
  if (typeof code === 'string') return code;
  const flat = flatten(code);
  // A comma follows, as a rule.
  if (flat !== undefined && indent + flat.length < width) return flat;
  const inner = ' '.repeat(indent + 2);
  const lines = code.items.map((item) => `${inner}${layOut(item, indent + 2)},`);
  return [code.open, ...lines, ' '.repeat(indent) + code.close].join('\n');
}

function flatten(code: Code): string | undefined {
  if (typeof code === 'string') return code.includes('\n') ? undefined : code;
  if (code.tall) return undefined;
  const items = code.items.map(flatten);
  if (items.some((item) => item === undefined)) return undefined;
  const space = code.open.endsWith('{') ? ' ' : '';
  return `${code.open}${space}${items.join(', ')}${space}${code.close}`;
}

function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name);
}
