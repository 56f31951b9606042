import { checkVersion, isTenonError, nearestNames, TenonError } from '@tenon-ml/core';
import * as v from 'valibot';
import { documentVersion, type ExperimentDocument } from './document.js';

/** A schema that is named by what it expects, in words. */
type Field = v.GenericSchema & { readonly message?: unknown };

/** An object of these fields and no others. */
const fields = <E extends { readonly [name: string]: Field }>(entries: E) =>
  v.strictObject(entries, (issue) => {
    if (issue.expected === 'never') return unknown(String(issue.input), Object.keys(entries));
    const name = issue.path && String(issue.path[issue.path.length - 1].key);
    const words = name === undefined ? undefined : entries[name].message;
    return typeof words === 'string' ? words : 'an object';
  });

const text = (words: string) => v.pipe(v.string(words), v.nonEmpty(words));

const integer = (least: number) => {
  const words = `an integer of at least ${least}`;
  return v.pipe(v.number(words), v.safeInteger(words), v.minValue(least, words));
};

const number = (range: string, accept: (value: number) => boolean) => {
  const words = `a number ${range}`;
  return v.pipe(
    v.number(words),
    v.check((value) => Number.isFinite(value) && accept(value), words),
  );
};

const choice = <const T extends readonly [string, ...string[]]>(...names: T) =>
  v.picklist(names, oneOf(names));

const nonNegative = number('of at least 0', (value) => value >= 0);
const share = number('from 0 to 1', (value) => value >= 0 && value <= 1);
const names = (words: string) => v.pipe(v.array(text(words), words), v.nonEmpty(words));
const fileName = text('the name of a file');

const digits = fields({ source: v.literal('digits') });
const cifar10 = fields({ source: v.literal('cifar10'), limit: v.optional(integer(1)) });
const csv = fields({
  source: v.literal('csv'),
  file: fileName,
  target: text('the name of a column'),
  task: choice('classification', 'regression'),
  features: v.optional(names('a list of names of columns')),
});
const arrays = fields({ source: v.literal('arrays'), file: fileName, classNames: names('a list of names') });
const plainText = fields({
  source: v.literal('text'),
  file: fileName,
  context: integer(1),
  stepsPerEpoch: integer(1),
});

const layerWords = 'a layer\'s spec such as { "layer": "dense", "version": 1, "units": 10 }';
const layer = v.custom<ExperimentDocument['network']>(
  (value) => isObject(value) && typeof value.version === 'number' && isJson(value) && isSpec(value),
  layerWords,
);

const schema = fields({
  format: v.literal('tenon-experiment', "'tenon-experiment'"),
  version: integer(1),
  name: text('a name'),
  seed: integer(0),
  data: v.variant(
    'source',
    [digits, cifar10, csv, arrays, plainText],
    oneOf(['digits', 'cifar10', 'csv', 'arrays', 'text']),
  ),
  split: fields({
    train: number('above 0, up to 1', (value) => value > 0 && value <= 1),
    validation: share,
    test: share,
  }),
  preprocessing: choice('none', 'normalize', 'rescale'),
  augmentation: fields({ flip: v.boolean('true or false'), shift: integer(0) }),
  network: layer,
  training: fields({
    epochs: integer(1),
    batchSize: integer(1),
    optimizer: choice('adam', 'adamw', 'sgd'),
    learningRate: nonNegative,
    momentum: number('from 0 up to, but not including, 1', (value) => value >= 0 && value < 1),
    weightDecay: nonNegative,
    schedule: choice('constant', 'cosine'),
    clipNorm: nonNegative,
  }),
});

/**
 * A value, such as parsed JSON, as an experiment's document. Every field is looked at, and unknown ones are refused: a
 * misspelt name would otherwise be ignored. The network's layers are looked at when they are built (`inspectNetwork`).
 *
 * Throws `INVALID_ARGUMENT` with the path of the first field that isn't what it should be (`document, training.epochs:
 * expected an integer of at least 1, got 0`), and `FORMAT_TOO_NEW` for a newer version's document. `where` names the
 * document in messages: a file.
 */
export function readDocument(value: unknown, where = 'document'): ExperimentDocument {
  if (!isObject(value)) throw invalid(where, 'an object', value);
  if (value.format !== 'tenon-experiment') {
    throw invalid(`${where}, format`, "'tenon-experiment'", value.format);
  }
  if (Number.isInteger(value.version) && (value.version as number) > 0) {
    checkVersion('experiment documents', value.version, documentVersion, where);
  }
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (!parsed.success) throw problem(parsed.issues[0], where);
  const document = parsed.output as ExperimentDocument;
  const { train, validation, test } = document.split;
  const sum = train + validation + test;
  if (Math.abs(sum - 1) <= 1e-6) return document;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: `${where}, split`,
    expected: 'shares whose sum is 1',
    got: `${train}, ${validation} and ${test}, whose sum is ${Number(sum.toPrecision(6))}`,
  });
}

/** Reads a document from JSON text. Throws as `readDocument` does, `INVALID_ARGUMENT` for text that isn't JSON. */
export function parseDocument(json: string, where = 'document'): ExperimentDocument {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    if (isTenonError(cause)) throw cause;
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where,
      expected: 'JSON',
      got: `text that does not parse: ${(cause as Error).message}`,
      cause,
    });
  }
  return readDocument(value, where);
}

function problem(issue: v.BaseIssue<unknown>, where: string): TenonError {
  const path = issue.path?.map(({ key }) => String(key)).join('.');
  const missing = issue.type === 'strict_object' && issue.expected === 'never';
  if (!missing) return invalid(path ? `${where}, ${path}` : where, issue.message, issue.input);
  const parent = issue.path
    ?.slice(0, -1)
    .map(({ key }) => String(key))
    .join('.');
  return new TenonError({
    code: 'INVALID_ARGUMENT',
    where: parent ? `${where}, ${parent}` : where,
    message: issue.message,
  });
}

function unknown(name: string, known: readonly string[]): string {
  const [near] = nearestNames(name, known);
  return `there is no field '${name}'. ${near ? `Did you mean '${near}'?` : `Known: ${known.join(', ')}.`}`;
}

function oneOf(choices: readonly string[]): string {
  const quoted = choices.map((name) => `'${name}'`);
  return `${quoted.slice(0, -1).join(', ')} or ${quoted[quoted.length - 1]}`;
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether what walks a network's lists finds layers in them, and can go by their order. */
function isSpec(value: unknown): boolean {
  if (!isObject(value) || typeof value.layer !== 'string') return false;
  const { children, order } = value;
  if (order !== undefined && !Array.isArray(order)) return false;
  return !isObject(children) || Object.values(children).every(isSpec);
}

/** Whether JSON holds it, not nested deeper than any network is: what walks it may recur. */
function isJson(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || depth > 64) return false;
  return Object.values(value).every((child) => isJson(child, depth + 1));
}

function invalid(where: string, expected: string, got: unknown): TenonError {
  const shown =
    got === undefined
      ? 'nothing'
      : typeof got === 'number'
        ? String(got)
        : (JSON.stringify(got) ?? String(got)).slice(0, 80);
  return new TenonError({ code: 'INVALID_ARGUMENT', where, expected, got: shown });
}
