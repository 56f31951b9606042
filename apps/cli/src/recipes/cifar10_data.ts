import type { NdArray } from '@tenon-ml/core';
import type { Dataset, DatasetInfo, Example } from '@tenon-ml/data';
import { cifar10, type DownloadProgress } from '@tenon-ml/data/node';
import type { SetupContext } from '@tenon-ml/train';

type Images = Dataset<Example<NdArray<'uint8'>, NdArray<'int32'>>>;

/**
 * CIFAR-10 as the recipes use it: 45,000 images to train, 5,000 of the 50,000 training images held out to choose the epoch
 * (500 of every class, drawn by the seed), and the 10,000 test images.
 *
 * From `--data`, a folder or the archive, or downloaded. `limit` is for a try: only the first so many of the 50,000, and a
 * fifth as many test images; 0 for all.
 */
export async function cifar10Parts(
  limit: number,
  { data, key, signal, note }: SetupContext,
): Promise<{ train: Images; validation: Images; test: Images; info: DatasetInfo }> {
  const {
    train: all,
    test,
    info,
  } = await cifar10({
    path: data,
    signal,
    onProgress: note && downloadNotes(note),
  });
  const { train, validation } = await (limit > 0 ? all.take(limit) : all).split(
    { train: 0.9, validation: 0.1 },
    { key: key.foldIn('split'), stratify: ({ target }) => target },
  );
  return { train, validation, test: limit > 0 ? test.take(Math.ceil(limit / 5)) : test, info };
}

/** A line at the beginning of a download and at every tenth of it. */
function downloadNotes(note: (text: string) => void): (progress: DownloadProgress) => void {
  let told = -1;
  return ({ received, total }) => {
    const tenth = total ? Math.floor((10 * received) / total) : 0;
    if (tenth <= told) return;
    told = tenth;
    const of = total ? ` of ${(total / 1e6).toFixed(0)} MB, ${10 * tenth} %` : '';
    note(`Downloading CIFAR-10: ${(received / 1e6).toFixed(0)}${of}`);
  };
}
