import { type ArtifactStore, TenonError, writeSafetensors } from '@tenon-ml/core';
import type { DataSpec } from '@tenon-ml/experiment';
import { pathOf } from './dropped_files.js';
import type { ImportOptions } from './import_files.js';
import { checkLimit } from './limits.js';
import { workerDecoder } from './picture_decoder.js';
import { some } from './recognize.js';
import { type Channels, coverSquare, type RgbaImage } from './resize.js';

export interface PictureOptions {
  /** The side of the squares that pictures become, in pixels; 32 by default. */
  readonly side?: number;
  /** 3 for colours (the default), 1 for their luma. */
  readonly channels?: Channels;
}

/** Turns files into pixels. */
export interface PictureDecoder {
  /** The picture as uint8 [side, side, channels]; null where it is none that can be decoded. */
  decode(file: File, side: number, channels: Channels): Promise<Uint8Array | null>;
  close(): void;
}

/** The name of the file that pictures are kept in. */
export const arraysFile = 'data.safetensors';

/** How many pictures are decoded at a time. */
const inFlight = 4;

/**
 * Decodes pictures whose folder is their class, and writes them as `data.safetensors`: `input` uint8
 * [pictures, side, side, channels], `target` int32 [pictures]. Classes are sorted: by value where all are numbers.
 *
 * `unreadable` names those that can't be decoded. Throws `DATA_INVALID` for fewer than two classes, and for a class of
 * fewer than two pictures, of those that are left too.
 */
export async function importPictures(
  files: readonly File[],
  store: ArtifactStore,
  options: ImportOptions = {},
): Promise<{ data: DataSpec & { source: 'arrays' }; examples: number; unreadable: string[] }> {
  const { side = 32, channels = 3, onProgress, signal } = options;
  checkSquare(side, channels);
  const classes = files.map(classOf);
  const classNames = sortedNames(new Set(classes));
  for (const file of files) checkLimit('picture', file.size, pathOf(file));
  const length = side * side * channels;
  checkLimit('pixels', files.length * length, `${files.length} pictures of ${side} × ${side}`);
  checkClasses(classNames, classes);

  const decoder = options.decoder ?? workerDecoder();
  const input = new Uint8Array(files.length * length);
  const decoded = new Array<boolean>(files.length).fill(false);
  try {
    let next = 0;
    let done = 0;
    const decodeSome = async (): Promise<void> => {
      while (next < files.length) {
        signal?.throwIfAborted();
        const index = next++;
        const pixels = await decoder.decode(files[index], side, channels);
        decoded[index] = pixels !== null;
        if (pixels) input.set(pixels, index * length);
        onProgress?.({ done: ++done, total: files.length });
      }
    };
    await Promise.all(Array.from({ length: inFlight }, decodeSome));
  } finally {
    decoder.close();
  }
  const readable = files.map((_, i) => i).filter((i) => decoded[i]);
  const unreadable = files.filter((_, i) => !decoded[i]).map(pathOf);
  checkClasses(
    classNames,
    readable.map((i) => classes[i]),
    unreadable,
  );
  // Those that are readable close up.
  for (const [at, i] of readable.entries()) input.copyWithin(at * length, i * length, (i + 1) * length);
  const target = Int32Array.from(readable, (i) => classNames.indexOf(classes[i]));
  await store.write(
    arraysFile,
    arraysBytes(input.subarray(0, readable.length * length), target, side, channels),
  );
  return { data: { source: 'arrays', file: arraysFile, classNames }, examples: readable.length, unreadable };
}

/** What a person drew or showed to the camera, as one class. */
export interface ExampleClass {
  readonly name: string;
  readonly images: readonly RgbaImage[];
}

/**
 * The same file of pictures that a page has made: the bytes of a `data.safetensors`, and the classes in the order given.
 * Throws `DATA_INVALID` for fewer than two classes, fewer than two pictures in one, and two classes of one name.
 */
export function examplesToArrays(
  classes: readonly ExampleClass[],
  side: number,
  channels: Channels,
): { bytes: Uint8Array; data: DataSpec & { source: 'arrays' }; examples: number } {
  checkSquare(side, channels);
  const classNames = classes.map(({ name }) => name);
  checkClasses(
    classNames,
    classes.flatMap(({ name, images }) => images.map(() => name)),
  );
  const images = classes.flatMap((one) => one.images);
  const length = side * side * channels;
  checkLimit('pixels', images.length * length, `${images.length} pictures of ${side} × ${side}`);
  const input = new Uint8Array(images.length * length);
  for (const [i, image] of images.entries()) input.set(coverSquare(image, side, channels).data, i * length);
  const target = Int32Array.from(classes.flatMap((one, index) => one.images.map(() => index)));
  return {
    bytes: arraysBytes(input, target, side, channels),
    data: { source: 'arrays', file: arraysFile, classNames },
    examples: images.length,
  };
}

function arraysBytes(
  input: Uint8Array<ArrayBuffer>,
  target: Int32Array<ArrayBuffer>,
  side: number,
  channels: Channels,
): Uint8Array {
  return writeSafetensors({
    input: { dtype: 'uint8', shape: [target.length, side, side, channels], data: input },
    target: { dtype: 'int32', shape: [target.length], data: target },
  });
}

/** The name of the folder that a picture is in. */
function classOf(file: File): string {
  const names = pathOf(file).split('/');
  if (names.length > 1) return names[names.length - 2];
  throw new TenonError({
    code: 'DATA_INVALID',
    where: file.name,
    expected: 'pictures in folders, whose names are their classes',
    got: 'one outside a folder',
    hint: 'Make a folder for each class (cats, dogs), and drop the folder that holds them.',
  });
}

function sortedNames(names: ReadonlySet<string>): string[] {
  const sorted = [...names].sort();
  return sorted.every((name) => /^\d+$/.test(name)) ? sorted.sort((a, b) => Number(a) - Number(b)) : sorted;
}

function checkSquare(side: number, channels: number): void {
  const valid = Number.isInteger(side) && side >= 1 && side <= 512 && (channels === 1 || channels === 3);
  if (valid) return;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where: 'pictures',
    expected: 'a side from 1 to 512, and 1 or 3 channels',
    got: `${side}, and ${channels}`,
  });
}

function checkClasses(
  names: readonly string[],
  classes: readonly string[],
  unreadable: readonly string[] = [],
): void {
  const count = new Map(names.map((name) => [name, 0]));
  for (const name of classes) count.set(name, (count.get(name) as number) + 1);
  const few = [...count]
    .filter(([, pictures]) => pictures < 2)
    .map(([name, pictures]) => `${name}: ${pictures}`);
  if (names.length >= 2 && few.length === 0 && count.size === names.length) return;
  throw new TenonError({
    code: 'DATA_INVALID',
    where: 'pictures',
    expected: 'at least two classes of different names, and at least two pictures of each',
    got:
      names.length < 2
        ? names.length === 0
          ? 'none'
          : `one class, '${names[0]}'`
        : few.length > 0
          ? some(few)
          : `two of the name '${names.find((name, i) => names.indexOf(name) !== i)}'`,
    hint:
      unreadable.length > 0
        ? `These can't be decoded: ${some(unreadable)}.`
        : 'The folder of a picture is its class: drop the folder that holds the folders of all classes.',
  });
}
