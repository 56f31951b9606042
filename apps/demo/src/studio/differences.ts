/** One place where two descriptions differ. */
export interface Difference {
  /** 'training.learningRate'. */
  readonly path: string;
  /** As JSON, shortened; '–' where there is nothing. */
  readonly here: string;
  readonly there: string;
}

/** Where two JSON values differ, by path; where one has another kind of value, the whole value. */
export function differences(here: unknown, there: unknown, path = ''): Difference[] {
  if (isObject(here) && isObject(there)) {
    const names = [...new Set([...Object.keys(here), ...Object.keys(there)])];
    return names.flatMap((name) =>
      differences(own(here, name), own(there, name), path === '' ? name : `${path}.${name}`),
    );
  }
  return JSON.stringify(here) === JSON.stringify(there)
    ? []
    : [{ path, here: show(here), there: show(there) }];
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Not what every object has, as `valueOf`. */
function own(value: { readonly [name: string]: unknown }, name: string): unknown {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function show(value: unknown): string {
  const text = value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}
