import { gzipSync } from 'node:zlib';
import { memoryStore, readSafetensors, readText, toZip } from '@tenon-ml/core';
import fc from 'fast-check';
import { packTar } from 'modern-tar';
import { describe, expect, it } from 'vitest';
import { importFiles } from '../src/import/import_files.js';
import { limits } from '../src/import/limits.js';
import type { PictureDecoder } from '../src/import/pictures.js';
import { recognize } from '../src/import/recognize.js';
import { expectError, fileOf, largeFile } from './support.js';

const text = (content: string): Uint8Array => new TextEncoder().encode(content);

/** Records of CIFAR-10 with these labels. */
function records(...labels: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(labels.length * 3073);
  for (const [i, label] of labels.entries())
    bytes.fill(i + 1, i * 3073, (i + 1) * 3073).set([label], i * 3073);
  return bytes;
}

describe('recognize', () => {
  it.each([
    [
      'cifar10',
      ['c/data_batch_1.bin', 'c/test_batch.bin'],
      ['c/batches.meta.txt', 'c/readme.html', 'c/.DS_Store'],
    ],
    ['archive', ['cifar-10-binary.tar.gz'], []],
    [
      'pictures',
      ['p/cat/1.PNG', 'p/cat/2.jpeg', 'p/dog/1.webp', 'p/dog/2.gif', 'p/e/3.bmp'],
      ['p/readme.md'],
    ],
    ['csv', ['iris.csv'], ['iris.txt']],
    ['csv', ['table.TSV'], []],
    ['text', ['a.txt', 'b.md'], []],
    ['model', ['run/model.json', 'run/weights.safetensors', 'run/checkpoints/1.json'], []],
    ['model', ['model.json', 'weights.safetensors'], []],
    ['zip', ['run.zip'], []],
    ['json', ['experiment.json'], []],
  ])('takes for %s: %j', (kind, own, others) => {
    const found = recognize([...own, ...others].reverse().map((path) => fileOf(path)));
    expect(found.kind).toBe(kind);
    expect(found.files.map((file) => file.webkitRelativePath || file.name)).toEqual([...own].sort());
    expect(found.ignored).toEqual(others.filter((path) => !path.includes('.DS_Store')).sort());
  });

  it.each([
    [
      ['a.csv', 'b/cat/1.png'],
      ['1 pictures', '1 CSV files', 'one kind at a time'],
    ],
    [
      ['song.mp3', 'film.mov'],
      ['2 that nothing here reads (film.mov, song.mp3)', 'data_batch_*.bin'],
    ],
    [['.DS_Store'], ['no files']],
    [
      ['a.csv', 'b.csv'],
      ['one of the CSV files', 'a.csv, b.csv', 'one at a time'],
    ],
    [['cifar-10-batches-py/data_batch_1', 'cifar-10-batches-py/test_batch'], ['Python version']],
  ])('says what it understood of %j, and what not', async (paths, parts) => {
    await expectError(() => recognize(paths.map((path) => fileOf(path))), 'USAGE', ...parts);
  });

  it('never loses a file: each is taken, named as ignored, or litter', () => {
    const path = fc.constantFrom(
      'a/1.png',
      'b/2.png',
      'a.txt',
      'x.bin',
      'readme',
      'data_batch_1.bin',
      'm/model.json',
    );
    fc.assert(
      fc.property(fc.uniqueArray(path, { minLength: 1 }), (paths) => {
        let found: ReturnType<typeof recognize>;
        try {
          found = recognize(paths.map((one) => fileOf(one)));
        } catch (error) {
          expect(error).toMatchObject({ code: 'USAGE' });
          return;
        }
        const taken = found.files.map((file) => file.webkitRelativePath || file.name);
        expect([...taken, ...found.ignored].sort()).toEqual([...paths].sort());
      }),
    );
  });
});

describe('what is too large', () => {
  it.each([
    ['data.csv', limits.csv],
    ['book.txt', limits.text],
    ['run.zip', limits.model],
    ['experiment.json', limits.document],
    ['cifar-10-binary.tar.gz', limits.archive],
    ['data_batch_1.bin', limits.cifar10File],
    ['p/cat/1.png', limits.picture],
  ])('%s is refused before it is read', async (path, limit) => {
    const error = await expectError(
      () => importFiles([largeFile(path, 2_100_000_000)], memoryStore()),
      'INVALID_ARGUMENT',
      path,
      '2.1 GB',
    );
    expect(error.expected).toMatch(/^at most \d/);
    // What to do instead.
    expect(error.hint).toMatch(/^(For larger|Choose|Make) .*\.$/);
    // What is just within the limit is read.
    await expect(importFiles([largeFile(path, limit)], memoryStore())).rejects.not.toMatchObject({
      expected: error.expected,
    });
  });

  it('so are parts that are too much together', async () => {
    const half = limits.text / 2 + 1;
    await expectError(
      () => importFiles([largeFile('a.txt', half), largeFile('b.txt', half)], memoryStore()),
      'INVALID_ARGUMENT',
      '2 text files',
      '20 MB',
      'tenon train',
    );
    const files = [largeFile('m/model.json', 10), largeFile('m/weights.safetensors', limits.model)];
    await expectError(() => importFiles(files, memoryStore()), 'INVALID_ARGUMENT', 'tenon evaluate');
    const many = Array.from({ length: limits.files + 1 }, () => fileOf('a.txt'));
    await expectError(() => importFiles(many, memoryStore()), 'INVALID_ARGUMENT', '60001 files');
  });
});

describe('CIFAR-10', () => {
  it('takes its files under their names', async () => {
    const store = memoryStore();
    const steps: number[] = [];
    const imported = await importFiles(
      [
        fileOf('c/test_batch.bin', records(1)),
        fileOf('c/data_batch_2.bin', records(3, 9)),
        fileOf('c/batches.meta.txt'),
      ],
      store,
      { onProgress: ({ done, total }) => steps.push(done / total) },
    );
    expect(imported).toEqual({
      kind: 'data',
      name: 'CIFAR-10',
      data: { source: 'cifar10' },
      examples: 3,
      notes: [{ code: 'IGNORED', files: ['c/batches.meta.txt'] }],
    });
    expect(await store.list()).toEqual(['data_batch_2.bin', 'test_batch.bin']);
    expect(await store.read('data_batch_2.bin')).toEqual(records(3, 9));
    expect(steps).toEqual([0.5, 1]);
  });

  it('unpacks its archive', async () => {
    const entry = (name: string, bytes: Uint8Array) => ({
      header: { name: `cifar-10-batches-bin/${name}`, size: bytes.length, type: 'file' as const },
      body: bytes,
    });
    const tar = await packTar([
      entry('data_batch_1.bin', records(0, 1, 2)),
      entry('readme.html', text('hello')),
      entry('test_batch.bin', records(4)),
    ]);
    const bytes = new Uint8Array(gzipSync(tar));
    const store = memoryStore();
    let last = 0;
    const imported = await importFiles([fileOf('cifar-10-binary.tar.gz', bytes)], store, {
      onProgress: ({ done, total }) => (last = done / total),
    });
    expect(imported).toMatchObject({ kind: 'data', data: { source: 'cifar10' }, examples: 4 });
    expect(last).toBe(1);
    expect(await store.read('data_batch_1.bin')).toEqual(records(0, 1, 2));
    expect(await store.list()).toEqual(['data_batch_1.bin', 'test_batch.bin']);
    for (const [broken, message] of [
      [bytes.subarray(0, bytes.length >> 1), "can't be unpacked"],
      [text('no archive'), "can't be unpacked"],
      [new Uint8Array(gzipSync(await packTar([entry('readme.html', text('x'))]))), 'none of them'],
    ] as const) {
      const drop = () => importFiles([fileOf('c.tgz', broken)], memoryStore());
      await expectError(drop, 'DATA_INVALID', 'c.tgz', message);
    }
  });

  it.each([
    ['a file that is cut off', [fileOf('data_batch_1.bin', records(1).subarray(1))], 'within record 0'],
    ['a label that is none', [fileOf('data_batch_1.bin', records(1, 12))], 'record 1'],
    ['the test part alone', [fileOf('test_batch.bin', records(1))], 'test_batch.bin alone'],
    [
      'a file twice',
      [fileOf('a/data_batch_1.bin', records(1)), fileOf('b/data_batch_1.bin', records(1))],
      'data_batch_1.bin twice',
    ],
  ])('refuses %s', async (_, files, message) => {
    await expectError(() => importFiles(files, memoryStore()), 'DATA_INVALID', message);
  });

  it('ends where it is told to', async () => {
    const controller = new AbortController();
    const store = memoryStore();
    const files = [1, 2, 3].map((n) => fileOf(`data_batch_${n}.bin`, records(1)));
    const importing = importFiles(files, store, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(importing).rejects.toThrow('abort');
    expect(await store.list()).toEqual(['data_batch_1.bin']);
  });
});

describe('pictures', () => {
  /** "Decodes" a file whose text is a number: a square of that value. */
  const decoder = (): PictureDecoder & { closed: boolean } => ({
    closed: false,
    async decode(file, side, channels) {
      const value = Number(await file.text());
      // The last ones come first.
      await new Promise((resolve) => setTimeout(resolve, 10 - value));
      return Number.isNaN(value) ? null : new Uint8Array(side * side * channels).fill(value);
    },
    close() {
      this.closed = true;
    },
  });

  it('become arrays by class, and those that cannot be decoded are named', async () => {
    const store = memoryStore();
    const own = decoder();
    const imported = await importFiles(
      [
        fileOf('pets/dog/2.png', '4'),
        fileOf('pets/dog/1.png', '3'),
        fileOf('pets/cat/b.jpg', '2'),
        fileOf('pets/cat/broken.jpg', 'broken'),
        fileOf('pets/cat/a.jpg', '1'),
      ],
      store,
      { side: 2, channels: 1, decoder: own },
    );
    expect(imported).toEqual({
      kind: 'data',
      name: 'pets',
      data: { source: 'arrays', file: 'data.safetensors', classNames: ['cat', 'dog'] },
      examples: 4,
      notes: [{ code: 'UNREADABLE', files: ['pets/cat/broken.jpg'] }],
    });
    const { input, target } = readSafetensors(await store.read('data.safetensors')).tensors;
    expect([input.dtype, input.shape, target.dtype, target.shape]).toEqual([
      'uint8',
      [4, 2, 2, 1],
      'int32',
      [4],
    ]);
    expect([...input.data]).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]);
    expect([...target.data]).toEqual([0, 0, 1, 1]);
    expect(own.closed).toBe(true);
  });

  it('of numbered classes are in the order of the numbers', async () => {
    const files = ['10', '9', '2'].flatMap((name) => [
      fileOf(`d/${name}/a.png`, '1'),
      fileOf(`d/${name}/b.png`, '1'),
    ]);
    const imported = await importFiles(files, memoryStore(), { side: 1, decoder: decoder() });
    expect(imported).toMatchObject({ data: { classNames: ['2', '9', '10'] } });
  });

  it.each([
    ['outside folders', ['a.png', 'b.png'], 'a folder for each class'],
    ['of one class', ['p/cat/1.png', 'p/cat/2.png'], "one class, 'cat'"],
    ['of a class with one', ['p/cat/1.png', 'p/cat/2.png', 'p/dog/1.png'], 'dog: 1'],
  ])('%s are refused, unread', async (_, paths, message) => {
    const unread = { decode: () => Promise.reject(new Error('read')), close: () => {} };
    const drop = () =>
      importFiles(
        paths.map((path) => fileOf(path)),
        memoryStore(),
        { decoder: unread },
      );
    await expectError(drop, 'DATA_INVALID', message);
  });

  it('are refused where too few can be decoded', async () => {
    const files = ['cat/1', 'cat/2', 'dog/1'].map((name) => fileOf(`p/${name}.png`, '1'));
    const drop = () =>
      importFiles([...files, fileOf('p/dog/2.png', 'no')], memoryStore(), { decoder: decoder() });
    await expectError(drop, 'DATA_INVALID', 'dog: 1', "can't be decoded: p/dog/2.png");
  });

  it('are refused where they would not fit', async () => {
    const files = Array.from({ length: 400 }, (_, i) => largeFile(`p/${i % 2}/${i}.png`, 100));
    const drop = () => importFiles(files, memoryStore(), { side: 512, decoder: decoder() });
    await expectError(drop, 'INVALID_ARGUMENT', '400 pictures of 512 × 512', 'smaller side');
    for (const side of [0, 1.5, 513]) {
      await expectError(() => importFiles(files, memoryStore(), { side }), 'INVALID_ARGUMENT', String(side));
    }
  });
});

describe('text', () => {
  it('is joined in the order of paths, and takes UTF-8 alone', async () => {
    const store = memoryStore();
    const imported = await importFiles(
      [fileOf('b.txt', 'b🎲'.repeat(100)), fileOf('a.md', `\uFEFF${'a\r\n'.repeat(100)}`)],
      store,
    );
    expect(imported).toMatchObject({
      kind: 'data',
      data: { source: 'text', file: 'text.txt', context: 20 },
      examples: 401,
    });
    expect(await readText(store, 'text.txt')).toBe(`${'a\n'.repeat(100)}\n${'b🎲'.repeat(100)}`);
    const latin = fileOf('old.txt', Uint8Array.of(0x66, 0xfc, 0x72));
    await expectError(
      () => importFiles([latin], memoryStore()),
      'DATA_INVALID',
      'old.txt',
      'Save it as UTF-8',
    );
    await expectError(() => importFiles([fileOf('a.txt', 'short')], memoryStore()), 'DATA_INVALID', 'got 5');
  });
});

describe('a model', () => {
  const files = [
    fileOf('runs/7/model.json', '{}'),
    fileOf('runs/7/weights.safetensors', Uint8Array.of(1, 2)),
    fileOf('runs/7/run.json', '{"a":1}'),
    fileOf('runs/7/data/x.csv', 'x'),
    fileOf('runs/notes.txt', 'x'),
  ];

  it('is refused where it unpacks to more than a tab can hold, before it is', async () => {
    const zip = await toZip(memoryStore([['model.json', text('{}')]]));
    const view = new DataView(zip.buffer, zip.byteOffset);
    const entry = zip.findIndex((_, at) => at + 4 <= zip.length && view.getUint32(at, true) === 0x02014b50);
    // In the archive's list: packed and unpacked sizes.
    view.setUint32(entry + 20, limits.model + 1, true);
    view.setUint32(entry + 24, limits.model + 1, true);
    const file = fileOf('bomb.zip', zip);
    await expectError(() => importFiles([file], memoryStore()), 'INVALID_ARGUMENT', 'bomb.zip');
  });

  it('comes as a folder, loose, or as a zip with a folder inside or without', async () => {
    const folder = await importFiles(files, memoryStore());
    expect(folder).toMatchObject({
      kind: 'model',
      run: true,
      notes: [{ code: 'IGNORED', files: ['runs/notes.txt'] }],
    });
    if (folder.kind !== 'model') throw new Error('not a model');
    const paths = ['data/x.csv', 'model.json', 'run.json', 'weights.safetensors'];
    expect(await folder.store.list()).toEqual(paths);
    expect(await folder.store.read('weights.safetensors')).toEqual(Uint8Array.of(1, 2));

    const loose = await importFiles(
      [fileOf('model.json', '{}'), fileOf('weights.safetensors')],
      memoryStore(),
    );
    expect(loose).toMatchObject({ kind: 'model', run: false });

    const nested = memoryStore();
    for (const path of paths) await nested.write(`run-7/${path}`, await folder.store.read(path));
    for (const zipped of [folder.store, nested]) {
      const zip = await importFiles([fileOf('run.zip', await toZip(zipped))], memoryStore());
      if (zip.kind !== 'model') throw new Error('not a model');
      expect([zip.name, zip.run, await zip.store.list()]).toEqual(['run', true, paths]);
      expect(await zip.store.read('weights.safetensors')).toEqual(Uint8Array.of(1, 2));
    }
  });

  it('is refused without its weights, and so is a zip of something else', async () => {
    const drop = (file: File) => () => importFiles([file], memoryStore());
    await expectError(drop(fileOf('model.json', '{}')), 'ARTIFACT_INVALID', 'weights.safetensors beside it');
    const pictures = await toZip(memoryStore([['cat/1.png', text('x')]]));
    await expectError(drop(fileOf('p.zip', pictures)), 'ARTIFACT_INVALID', 'p.zip', 'cat/1.png', 'Unpack');
    const weightless = await toZip(memoryStore([['model.json', text('{}')]]));
    await expectError(drop(fileOf('p.zip', weightless)), 'ARTIFACT_INVALID', 'weights.safetensors');
    await expectError(drop(fileOf('p.zip', text('x'))), 'ARTIFACT_INVALID', 'a zip archive');
  });
});

describe('an experiment', () => {
  it('is JSON of that format', async () => {
    const document = { format: 'tenon-experiment', version: 1, name: 'mine' };
    const imported = await importFiles([fileOf('mine.json', JSON.stringify(document))], memoryStore());
    expect(imported).toEqual({ kind: 'document', name: 'mine', document, notes: [] });
    for (const [content, part] of [
      ['{"format": "tenon-run"}', "'tenon-run'"],
      ['[1]', 'without a format'],
      ['null', 'without a format'],
      ['{', "don't parse"],
    ]) {
      await expectError(
        () => importFiles([fileOf('x.json', content)], memoryStore()),
        'ARTIFACT_INVALID',
        'x.json',
        part,
      );
    }
  });
});
