import { isTenonError, memoryStore, readSafetensors } from '@tenon-ml/core';
import { describe, expect, it } from 'vitest';
import { importFiles } from '../../apps/demo/src/import/import_files.js';
import { decodePicture, workerDecoder } from '../../apps/demo/src/import/picture_decoder.js';

/** A picture that is `left` in its left half and `right` in the other, as a file of a type. */
async function picture(
  path: string,
  type: string,
  left: string,
  right = left,
  [width, height] = [40, 20] as readonly [number, number],
): Promise<File> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
  context.fillStyle = left;
  context.fillRect(0, 0, width / 2, height);
  context.fillStyle = right;
  context.fillRect(width / 2, 0, width / 2, height);
  const file = new File(
    [await canvas.convertToBlob({ type, quality: 1 })],
    path.split('/').at(-1) as string,
    { type },
  );
  Object.defineProperty(file, 'webkitRelativePath', { value: path });
  return file;
}

function broken(path: string): File {
  const file = new File(['this is no picture'], path.split('/').at(-1) as string, { type: 'image/png' });
  Object.defineProperty(file, 'webkitRelativePath', { value: path });
  return file;
}

/** The bytes of a BMP of 1 × 2 pixels: red above, blue below. Rows go from the bottom, padded to 4 bytes. */
const bmp = Uint8Array.of(
  ...[0x42, 0x4d, 62, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0],
  ...[
    40, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0,
  ],
  ...[255, 0, 0, 0, 0, 0, 255, 0],
);

/** The smallest GIF: one pixel, white. */
const gif = Uint8Array.from(atob('R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=='), (c) =>
  c.charCodeAt(0),
);

describe('decodePicture', () => {
  it.each([
    ['image/png', 0],
    ['image/webp', 6],
    ['image/jpeg', 6],
  ])('of %s is its middle square', async (type, tolerance) => {
    const pixels = await decodePicture(await picture('a', type, '#c80000', '#0064c8'), 2, 3);
    const expected = [200, 0, 0, 0, 100, 200, 200, 0, 0, 0, 100, 200];
    expect(pixels).toHaveLength(12);
    for (const [i, value] of expected.entries()) {
      expect(Math.abs((pixels as Uint8Array)[i] - value), `${i}`).toBeLessThanOrEqual(tolerance);
    }
  });

  it('of a BMP and of a GIF', async () => {
    expect(await decodePicture(new Blob([bmp]), 1, 3)).not.toBeNull();
    expect([...((await decodePicture(new Blob([gif]), 1, 3)) ?? [])]).toEqual([255, 255, 255]);
  });

  it('of a large picture is its mean, in one channel and in three', async () => {
    const large = await picture('a', 'image/png', '#000000', '#ffffff', [3000, 2000]);
    for (const [i, value] of [0, 255, 0, 255].entries()) {
      expect(Math.abs(((await decodePicture(large, 2, 1)) ?? [])[i] - value)).toBeLessThanOrEqual(1);
    }
    const [grey] = (await decodePicture(large, 1, 1)) ?? [];
    expect(Math.abs(grey - 127.5)).toBeLessThan(3);
  });

  it('lays what is transparent on white', async () => {
    const clear = await picture('a', 'image/png', 'rgba(0, 0, 0, 0)', 'rgba(0, 0, 0, 0.2)');
    expect([...((await decodePicture(clear, 2, 1)) ?? [])]).toEqual([255, 204, 255, 204]);
  });

  it('is null for what is no picture', async () => {
    expect(await decodePicture(broken('x.png'), 2, 3)).toBeNull();
    expect(await decodePicture(new Blob([]), 2, 3)).toBeNull();
  });
});

describe('importFiles', () => {
  it('decodes folders of pictures in a worker', async () => {
    const store = memoryStore();
    const files = [
      await picture('pets/dog/1.jpg', 'image/jpeg', '#ffffff'),
      await picture('pets/dog/2.webp', 'image/webp', '#ffffff'),
      await picture('pets/cat/2.png', 'image/png', '#000000'),
      await picture('pets/cat/1.png', 'image/png', '#0000ff'),
      broken('pets/cat/3.png'),
    ];
    const steps: number[] = [];
    const imported = await importFiles(files, store, {
      side: 4,
      onProgress: ({ done, total }) => steps.push(done / total),
    });
    expect(imported).toMatchObject({
      kind: 'data',
      data: { source: 'arrays', classNames: ['cat', 'dog'] },
      examples: 4,
      notes: [{ code: 'UNREADABLE', files: ['pets/cat/3.png'] }],
    });
    expect(steps).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    const { input, target } = readSafetensors(await store.read('data.safetensors')).tensors;
    expect(input.shape).toEqual([4, 4, 4, 3]);
    expect([...target.data]).toEqual([0, 0, 1, 1]);
    const first = [0, 1, 2, 3].map((i) => [...(input.data as Uint8Array).subarray(48 * i, 48 * i + 3)]);
    expect(first.slice(0, 2)).toEqual([
      [0, 0, 255],
      [0, 0, 0],
    ]);
    for (const value of first.slice(2).flat()) expect(value).toBeGreaterThan(250);
  });

  it('ends the worker where it is aborted', async () => {
    const controller = new AbortController();
    const decoder = workerDecoder();
    let closed = false;
    const files: File[] = [];
    for (let i = 0; i < 12; i++) files.push(await picture(`p/${i % 2}/${i}.png`, 'image/png', '#123456'));
    const importing = importFiles(files, memoryStore(), {
      side: 4,
      signal: controller.signal,
      onProgress: () => controller.abort(),
      decoder: {
        decode: decoder.decode,
        close: () => {
          closed = true;
          decoder.close();
        },
      },
    });
    const error: unknown = await importing.catch((thrown: unknown) => thrown);
    expect([(error as Error).name, isTenonError(error), closed]).toEqual(['AbortError', false, true]);
  });
});
