import { nearestNames, TenonError } from '@tenon-ml/core';

/** Where options come from, for the errors about them: a call (`dense(0)`), or the spec of a saved layer. */
export interface OptionSource {
  /** The function's name, or the layer's path. */
  readonly where: string;
  readonly code: 'INVALID_ARGUMENT' | 'ARTIFACT_INVALID';
}

/** Options by name, not yet checked. */
export type RawOptions = { readonly [name: string]: unknown };

/** Sizes along height and width. */
export type Pair = readonly [height: number, width: number];

/** Reads options one by one; each method throws the source's code for a value that isn't what it is named for. */
export interface OptionReader {
  readonly source: OptionSource;
  /** The value as it came; `fallback` where it is absent. */
  raw(name: string, fallback?: unknown): unknown;
  positiveInteger(name: string, fallback?: number): number;
  /** [height, width], or one positive integer for both. */
  pair(name: string, fallback?: Pair): Pair;
  boolean(name: string, fallback: boolean): boolean;
  /** A finite number that `accept` accepts; `range` is that condition in words: 'from 0 to 1'. */
  number(
    name: string,
    fallback: number | undefined,
    range?: string,
    accept?: (value: number) => boolean,
  ): number;
  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T;
  /** Throws for options that nobody read: a misspelt name would otherwise be ignored. */
  end(): void;
}

/** The source of options given to a function. */
export function fromCall(name: string): OptionSource {
  return { where: name, code: 'INVALID_ARGUMENT' };
}

/** The source of options read from a layer's spec. */
export function fromSpec(path: string, layer: string): OptionSource {
  return { where: path || layer, code: 'ARTIFACT_INVALID' };
}

/** The options in a spec: all of it but the layer's name and version. */
export function specOptions(spec: RawOptions): RawOptions {
  const { layer: _layer, version: _version, ...options } = spec;
  return options;
}

/** The error for an option: `dense: expected units to be an integer of at least 1, got 0.` */
export function optionError(source: OptionSource, name: string, expected: string, got: unknown): TenonError {
  return new TenonError({ ...source, expected: `${name} to be ${expected}`, got: show(got) });
}

/** A reader of `options`; an option that is `undefined` counts as absent. `prefix` goes before names in errors. */
export function readOptions(options: RawOptions, source: OptionSource, prefix = ''): OptionReader {
  const known = new Set<string>();
  const raw = (name: string, fallback?: unknown): unknown => {
    known.add(name);
    const value = Object.hasOwn(options, name) ? options[name] : undefined;
    return value === undefined ? fallback : value;
  };
  const fail = (name: string, expected: string, got: unknown): TenonError =>
    optionError(source, `${prefix}${name}`, expected, got);

  return {
    source,
    raw,
    positiveInteger(name, fallback) {
      const value = raw(name, fallback);
      if (isPositiveInteger(value)) return value;
      throw fail(name, 'an integer of at least 1', value);
    },
    pair(name, fallback) {
      const value = raw(name);
      if (value === undefined && fallback) return fallback;
      if (isPositiveInteger(value)) return [value, value];
      if (Array.isArray(value) && value.length === 2 && value.every(isPositiveInteger)) {
        return [value[0], value[1]];
      }
      throw fail(name, 'an integer of at least 1, or [height, width] of such', value);
    },
    boolean(name, fallback) {
      const value = raw(name, fallback);
      if (typeof value === 'boolean') return value;
      throw fail(name, 'true or false', value);
    },
    number(name, fallback, range, accept = () => true) {
      const value = raw(name, fallback);
      if (typeof value === 'number' && Number.isFinite(value) && accept(value)) return value;
      throw fail(name, range ? `a number ${range}` : 'a finite number', value);
    },
    choice(name, choices, fallback) {
      const value = raw(name, fallback);
      const found = choices.find((choice) => choice === value);
      if (found !== undefined) return found;
      throw fail(name, choices.map((choice) => `'${choice}'`).join(' or '), value);
    },
    end() {
      for (const name of Object.keys(options)) {
        if (known.has(name) || options[name] === undefined) continue;
        const near = nearestNames(name, [...known]);
        throw new TenonError({
          ...source,
          message: `there is no option '${prefix}${name}'`,
          hint:
            near.length > 0
              ? `Did you mean '${near[0]}'?`
              : known.size > 0
                ? `Known: ${[...known].join(', ')}.`
                : 'It takes none.',
        });
      }
    },
  };
}

function isPositiveInteger(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'number' || value === undefined) return String(value);
  return (JSON.stringify(value) ?? String(value)).slice(0, 80);
}
