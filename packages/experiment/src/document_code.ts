import { type Code, call, layOut, literal, object, prefixed, quoted, suffixed } from './code_layout.js';
import type { DataSpec, ExperimentDocument } from './document.js';
import { sharesOf } from './experiment.js';
import { layerCode, networkImports } from './network_code.js';

/** Names by the module that they are imported from. */
type Imports = Map<string, Set<string>>;

/** What a part of the code says: its lines, and what they need. */
interface Section {
  readonly lines: readonly Code[];
  readonly imports: { readonly [module: string]: readonly string[] };
}

/**
 * An experiment as a program that trains the same: TypeScript for Node that imports the packages, ready to copy. For one
 * seed it makes the steps of `documentExperiment`, bit for bit. Files are read from the folder it is run in.
 *
 * Throws what `buildLayer` throws for a network that doesn't build.
 */
export function documentCode(document: ExperimentDocument): string {
  const network: Section = {
    lines: [suffixed(prefixed('const model = ', layerCode(document.network)), ';')],
    imports: { '@tenon-ml/layers': networkImports(document.network) },
  };
  const sections = [start(document), network, dataCode(document), trainingCode(document)];
  const imports: Imports = new Map();
  for (const section of sections) {
    for (const [module, names] of Object.entries(section.imports)) {
      const known = imports.get(module) ?? new Set();
      imports.set(module, known);
      for (const name of names) known.add(name);
    }
  }
  const heads = [...imports]
    .filter(([, names]) => names.size > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([module, names]) => importCode(module, [...names].sort(byName)));
  const bodies = sections.map(({ lines }) => lines.map((line) => layOut(line)).join('\n'));
  return `${[heads.join('\n'), ...bodies].join('\n\n')}\n`;
}

function importCode(module: string, names: readonly string[]): string {
  const code = suffixed(object(Object.fromEntries(names.map((name) => [name, name]))), ` from '${module}';`);
  return layOut(prefixed('import ', code));
}

/** As people sort names, whatever their case. */
function byName(a: string, b: string): number {
  return a.toLowerCase() < b.toLowerCase() ? -1 : 1;
}

function start({ seed, name }: ExperimentDocument): Section {
  return {
    lines: [
      `// ${name.replace(/\s+/g, ' ')}: one seed, one run.`,
      `const seed = ${seed};`,
      "const key = createKey(seed).foldIn('setup');",
    ],
    imports: { '@tenon-ml/core': ['createKey'] },
  };
}

/** Parts and batches: `train`, `validation`, `test` where they are, and `batches`. */
function dataCode(document: ExperimentDocument): Section {
  const { data } = document;
  return data.source === 'text' ? textCode(document, data) : examplesCode(document, sourceCode(data));
}

interface Source extends Section {
  /** The examples that are split. */
  readonly examples: string;
  /** The test part that the source has. */
  readonly test?: string;
  readonly regression?: boolean;
}

function sourceCode(data: Exclude<DataSpec, { source: 'text' }>): Source {
  switch (data.source) {
    case 'digits':
      return {
        examples: 'digits()',
        lines: [],
        imports: { '@tenon-ml/data/digits': ['digits', 'digitsInfo'] },
      };
    case 'cifar10':
      return {
        examples: data.limit ? `all.take(${data.limit})` : 'all',
        test: data.limit ? `official.take(${Math.ceil(data.limit / 5)})` : 'official',
        lines: [
          '// Downloaded once, unless the option `path` says where the files are.',
          'const { train: all, test: official, info } = await cifar10();',
        ],
        imports: { '@tenon-ml/data/node': ['cifar10'] },
      };
    case 'csv': {
      const { file, target, task, features } = data;
      const options = object({
        file: quoted(file),
        target: quoted(target),
        task: task === 'regression' ? quoted(task) : undefined,
        features: features && literal(features),
      });
      return {
        examples: 'examples',
        regression: task === 'regression',
        lines: [
          `const text = await readFile(${quoted(file)}, 'utf8');`,
          suffixed(
            prefixed(
              `const { examples${task === 'regression' ? '' : ', classNames'} } = `,
              call('fromCsv', ['text', options]),
            ),
            ';',
          ),
        ],
        imports: { 'node:fs/promises': ['readFile'], '@tenon-ml/data': ['fromCsv'] },
      };
    }
    default:
      return {
        examples: 'fromArrays({ input, target })',
        lines: [
          `const { input, target } = readSafetensors(await readFile(${quoted(data.file)})).tensors;`,
          suffixed(prefixed('const classNames = ', literal(data.classNames)), ';'),
        ],
        imports: {
          'node:fs/promises': ['readFile'],
          '@tenon-ml/core': ['readSafetensors'],
          '@tenon-ml/data': ['fromArrays'],
        },
      };
  }
}

function examplesCode(document: ExperimentDocument, source: Source): Section {
  const { training, augmentation, network, data } = document;
  const { batchSize } = training;
  const shares = sharesOf(document, source.test !== undefined);
  const options = object({
    key: "key.foldIn('split')",
    stratify: source.regression ? undefined : '({ target }) => target',
  });
  const parts = `const { ${Object.keys(shares).join(', ')} } = await ${source.examples}`;
  const lines: Code[] = [
    ...source.lines,
    suffixed(call(`${parts}.split`, [literal(shares), options]), ';'),
    ...(source.test ? [`const test = ${source.test};`] : []),
  ];
  const imported: string[] = [];
  let batches = `train.shuffle({ key: key.foldIn('order') })`;
  if (JSON.stringify(network).includes('"batchNorm"')) {
    lines.push(
      '// Batch normalization takes no batch of one.',
      `const dropRemainder = Number(train.length) > ${batchSize} && Number(train.length) % ${batchSize} === 1;`,
    );
    batches += `.batch(${batchSize}, { dropRemainder })`;
  } else batches += `.batch(${batchSize})`;
  const changes = [
    ...(augmentation.shift > 0 ? [`randomCrop({ padding: ${augmentation.shift} })`] : []),
    ...(augmentation.flip ? ['randomFlip()'] : []),
  ];
  if (changes.length > 0 && data.source !== 'csv') {
    batches += `\n  .map(augment(${changes.join(', ')}), { key: key.foldIn('augment') })`;
    imported.push('augment', ...changes.map((change) => change.slice(0, change.indexOf('('))));
  }
  lines.push(`const batches = ${batches};`);
  const size = data.source === 'cifar10' ? 250 : 256;
  return {
    lines: [...lines, ...heldOut([...Object.keys(shares), ...(source.test ? ['test'] : [])], size)],
    imports: merge(source.imports, { '@tenon-ml/data': imported }),
  };
}

/** `.batch` of the parts that are there, for evaluations. */
function heldOut(parts: readonly string[], size: number): string[] {
  return ['validation', 'test']
    .filter((part) => parts.includes(part))
    .map((part) => `const ${part}Batches = ${part}.batch(${size});`);
}

function textCode(document: ExperimentDocument, data: Extract<DataSpec, { source: 'text' }>): Section {
  const { split, training } = document;
  const { context, stepsPerEpoch, file } = data;
  const windows = `{ vocabulary, context: ${context} }`;
  const first = `Math.floor(${split.train} * length)`;
  const second = split.test > 0 ? `Math.floor(${split.train + split.validation} * length)` : 'length';
  const held = (name: string, begin: string, end: string): string =>
    [
      `const ${name}Batches = textWindows(rows(points, ${begin}, ${end}), {`,
      '  vocabulary,',
      `  context: ${context},`,
      `  stride: Math.max(${context}, Math.floor((${end} - ${begin}) / 256)),`,
      '})\n  .take(256)\n  .batch(64);',
    ].join('\n');
  return {
    lines: [
      `const text = await readFile(${quoted(file)}, 'utf8');`,
      'const vocabulary = characters(text);',
      'const points = codePoints(text);',
      'const [length] = points.shape;',
      `const [first, second] = [${first}, ${second}];`,
      `const batches = textWindows(rows(points, 0, first), ${windows})`,
      "  .shuffle({ key: key.foldIn('windows') })",
      `  .take(${stepsPerEpoch * training.batchSize})`,
      `  .batch(${training.batchSize});`,
      ...(split.validation > 0 ? [held('validation', 'first', 'second')] : []),
      ...(split.test > 0 ? [held('test', 'second', 'length')] : []),
    ],
    imports: {
      'node:fs/promises': ['readFile'],
      '@tenon-ml/core': ['rows'],
      '@tenon-ml/data': ['characters', 'codePoints', 'textWindows'],
    },
  };
}

function trainingCode(document: ExperimentDocument): Section {
  const { data, split, training } = document;
  const regression = data.source === 'csv' && data.task === 'regression';
  const optimizer = optimizerCode(document);
  const preprocessing = preprocessingCode(document);
  const hasTest = data.source === 'cifar10' || split.test > 0;
  const hasValidation = split.validation > 0;
  const names = {
    digits: 'digitsInfo.classNames',
    cifar10: 'info.classNames',
    csv: 'classNames',
    arrays: 'classNames',
    text: 'vocabulary.names',
  };
  const metrics = metricsCode(data, regression, names[data.source]);
  const loss = regression ? 'meanSquaredError' : 'softmaxCrossEntropy';
  const monitor = !hasValidation
    ? 'train.loss'
    : data.source === 'cifar10'
      ? 'validation.accuracy'
      : undefined;
  const trainer = object({
    model: 'model',
    loss: `${loss}()`,
    optimizer: optimizer.lines[0],
    metrics: metrics.lines[0],
    backend: 'wasm()',
    seed: 'seed',
    input:
      data.source === 'text'
        ? object({ shape: `[null, ${data.context}]`, dtype: quoted('int32') })
        : undefined,
    preprocessing: preprocessing.value,
    classNames: regression
      ? undefined
      : names[data.source] === 'classNames'
        ? 'classNames'
        : names[data.source],
  });
  const run = object({
    epochs: String(training.epochs),
    validation: hasValidation ? 'validationBatches' : undefined,
    monitor: monitor && quoted(monitor),
    restoreBest: 'true',
  });
  return {
    lines: [
      ...preprocessing.lines,
      ...(training.schedule === 'cosine'
        ? [`const steps = Math.max(1, ${training.epochs} * Number(batches.length));`]
        : []),
      suffixed(prefixed('const trainer = await ', call('createTrainer', [trainer])), ';'),
      prefixed('for await (const event of ', suffixed(call('trainer.run', ['batches', run]), ') {')),
      `  if (event.type === 'epoch') console.log(event.epoch + 1, event.train, event.validation);`,
      '}',
      ...(hasTest ? ["console.log('test', await trainer.evaluate(testBatches));"] : []),
    ],
    imports: merge(optimizer.imports, metrics.imports, preprocessing.imports, {
      '@tenon-ml/backend-wasm': ['wasm'],
      '@tenon-ml/losses': [loss],
      '@tenon-ml/train': ['createTrainer'],
    }),
  };
}

function metricsCode(data: DataSpec, regression: boolean, names: string): Section {
  if (regression) {
    const absolute = call('mean', [
      quoted('absoluteError'),
      '(prediction, target) => abs(sub(prediction, target))',
      object({ direction: quoted('minimize') }),
    ]);
    return {
      lines: [suffixed(prefixed('[', absolute), ']')],
      imports: { '@tenon-ml/metrics': ['mean'], '@tensorflow/tfjs-core': ['abs', 'sub'] },
    };
  }
  if (data.source === 'text') {
    return { lines: ['[accuracy()]'], imports: { '@tenon-ml/metrics': ['accuracy'] } };
  }
  return {
    lines: [`[accuracy(), confusionMatrix({ classes: ${names}.length })]`],
    imports: { '@tenon-ml/metrics': ['accuracy', 'confusionMatrix'] },
  };
}

function preprocessingCode({ data, preprocessing }: ExperimentDocument): Section & { readonly value?: Code } {
  if (data.source === 'text') return { lines: [], imports: {}, value: '[vocabulary]' };
  if (preprocessing === 'none') return { lines: [], imports: {} };
  if (preprocessing === 'normalize') {
    return {
      lines: [],
      imports: { '@tenon-ml/data': ['fitTransform', 'normalize'] },
      value: '[await fitTransform(normalize(), train)]',
    };
  }
  const greatest = { digits: '16', cifar10: '255', csv: 'greatest', arrays: 'greatest' }[data.source];
  const imports = { '@tenon-ml/data': ['rescale'] };
  const value = `[rescale({ scale: 1 / ${greatest} })]`;
  if (greatest !== 'greatest') return { lines: [], imports, value };
  const bytes = data.source === 'arrays';
  const widen = 'for (const value of input.data) greatest = Math.max(greatest, Math.abs(Number(value)));';
  return {
    lines: bytes
      ? ["let greatest = input.dtype === 'uint8' ? 255 : 0;", widen]
      : ['let greatest = 0;', 'for await (const { input } of examples) {', `  ${widen}`, '}'],
    imports,
    value: `[rescale({ scale: 1 / (greatest || 1) })]`,
  };
}

function optimizerCode({ training, data }: ExperimentDocument): Section {
  const { optimizer, learningRate: peak, schedule, momentum, weightDecay, clipNorm } = training;
  const cosine = (options: { readonly [name: string]: Code }): Code =>
    schedule === 'constant'
      ? String(peak)
      : call('cosineDecay', [object({ peak: String(peak), steps: 'steps', ...options })]);
  const options: {
    readonly [name in typeof optimizer]: () => { readonly [name: string]: Code | undefined };
  } = {
    adam: () => ({ learningRate: cosine({}) }),
    adamw: () => ({
      learningRate: cosine({ warmup: 'Math.min(100, Math.floor(steps / 10))', end: `${peak} / 10` }),
      beta2: data.source === 'text' ? '0.99' : undefined,
      weightDecay: String(weightDecay),
      mask: '(_path, shape) => shape.length > 1',
    }),
    sgd: () => ({
      learningRate: cosine({ warmup: 'Math.floor(steps / 20)' }),
      momentum: momentum > 0 ? String(momentum) : undefined,
      weightDecay: weightDecay > 0 ? String(weightDecay) : undefined,
    }),
  };
  const one = call(optimizer, [object(options[optimizer]())]);
  const names = [optimizer, ...(schedule === 'cosine' ? ['cosineDecay'] : [])];
  if (clipNorm === 0) return { lines: [one], imports: { '@tenon-ml/optimizers': names } };
  return {
    lines: [call('chain', [`clipByGlobalNorm(${clipNorm})`, one])],
    imports: { '@tenon-ml/optimizers': [...names, 'chain', 'clipByGlobalNorm'] },
  };
}

function merge(...all: readonly Section['imports'][]): Section['imports'] {
  const merged: { [module: string]: readonly string[] } = {};
  for (const imports of all) {
    for (const [module, names] of Object.entries(imports)) {
      merged[module] = [...(merged[module] ?? []), ...names];
    }
  }
  return merged;
}
