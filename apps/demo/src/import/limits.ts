import { TenonError } from '@tenon-ml/core/errors';

/** What a browser's tab can take in, in bytes and counts; larger things are for the command line. */
export const limits = {
  /** Of everything that is dropped at once. */
  files: 60_000,
  /** CIFAR-10's largest file has 30,730,000 bytes. */
  cifar10File: 32_000_000,
  /** cifar-10-binary.tar.gz has 170 MB. */
  archive: 250_000_000,
  /** One picture. */
  picture: 30_000_000,
  /** All pictures once they are resized: what is kept. */
  pixels: 250_000_000,
  csv: 50_000_000,
  text: 20_000_000,
  /** A model or a run with all its files, or their zip. */
  model: 500_000_000,
  document: 1_000_000,
} as const;

const commandLine = 'For larger data use the command line: tenon train EXPERIMENT.json --data FOLDER.';

/** The hint of each limit: what to do instead. */
const instead: { readonly [limit in keyof typeof limits]: string } = {
  files: 'Drop fewer files, or use the command line: tenon train EXPERIMENT.json --data FOLDER.',
  cifar10File: "Choose the files of CIFAR-10's binary version.",
  archive: "Choose CIFAR-10's binary version, cifar-10-binary.tar.gz.",
  picture: 'Make the picture smaller.',
  pixels: `Choose a smaller side, or fewer pictures. ${commandLine}`,
  csv: commandLine,
  text: commandLine,
  model: 'For larger models use the command line: tenon evaluate RUN.',
  document: 'Choose an experiment that was saved here.',
};

/** Throws `INVALID_ARGUMENT` for what is over a limit: before a byte of it is read. */
export function checkLimit(limit: keyof typeof limits, size: number, where: string): void {
  if (size <= limits[limit]) return;
  const format = limit === 'files' ? (n: number) => `${n} files` : formatBytes;
  throw new TenonError({
    code: 'INVALID_ARGUMENT',
    where,
    expected: `at most ${format(limits[limit])}`,
    got: format(size),
    hint: instead[limit],
  });
}

/** '2.1 GB', '30.7 MB', '512 bytes': powers of 1000. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  return `${Number((bytes / 1000 ** power).toFixed(1))} ${['', 'kB', 'MB', 'GB'][power]}`;
}
