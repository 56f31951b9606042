import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedDownload, readCsvText } from '@tenon-ml/data/node';
import type { SetupContext } from '@tenon-ml/train';

/** "Tiny Shakespeare", 1,115,394 characters of the plays (public domain), as A. Karpathy's char-rnn brought it. */
const official = {
  url: 'https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt',
  name: 'tinyshakespeare.txt',
  checksum: {
    algorithm: 'sha256',
    digest: '86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed',
  },
} as const;

/** The text of `--data`: a file, or the file input.txt of a folder; without it, the plays are downloaded once (1 MB). */
export async function readPlays({ data, signal, note }: SetupContext): Promise<string> {
  if (data !== undefined) return readCsvText((await isFolder(data)) ? join(data, 'input.txt') : data);
  let told = false;
  const onProgress = (): void => {
    if (!told) note?.('Downloading the text: 1 MB');
    told = true;
  };
  return readCsvText(await cachedDownload(official.url, { ...official, signal, onProgress }));
}

async function isFolder(path: string): Promise<boolean> {
  // What is wrong with a path is said by whoever reads it.
  return stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}
