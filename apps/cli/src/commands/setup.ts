import {
  type Flavour,
  type RemovedCuda,
  removeCuda,
  type SetupOptions,
  type SetupResult,
  setupCuda,
} from '@tenon-ml/backend-cuda/node';
import { type Command, InvalidArgumentError } from 'commander';
import { Interrupted, interruption } from '../interruption.js';
import type { Output } from '../output.js';
import { show } from './train.js';

export interface SetupFlags extends Omit<SetupOptions, 'signal' | 'cache'> {
  readonly remove?: boolean;
}

/** Gives `tenon setup BACKEND` its options and what it does. */
export function addSetup(command: Command, output: Output): void {
  command
    .option('--device <device>', 'gpu or cpu (default: gpu where there is an NVIDIA driver)', parseDevice)
    .option('--python <path>', 'the Python whose pip fetches TensorFlow (default: python3)')
    .option('--wheel-dir <folder>', 'take wheels from a folder, without internet')
    .option('--tensorflow <version>', 'the version of TensorFlow (default: 2.21, which was tested)')
    .option('--libtensorflow <folder>', 'a libtensorflow of your own rather than a fetched one')
    .option('--package <file>', 'the npm package tfjs-node-gpu as a file, without internet')
    .option('--compiler <path>', 'the C++ compiler (default: $CXX, c++, g++ or clang++)')
    .option('--force', 'build again though there is a build')
    .option('--remove', 'remove all that was set up')
    .action(async (backend: string | undefined, flags: SetupFlags) => {
      if (backend !== 'cuda') {
        const got = backend === undefined ? 'nothing' : `'${backend}'`;
        command.error(`error: expected what to set up, which is cuda, got ${got}: tenon setup cuda`);
      }
      if (flags.remove) {
        const removed = await removeCuda();
        return output.result(removed, describeRemoved(removed));
      }
      const result = await setUp(flags, output);
      output.result(result, describeSetup(result));
    });
}

/** `tenon setup cuda`; Ctrl-C ends it, and leaves nothing half-done. */
async function setUp(flags: SetupFlags, output: Output): Promise<SetupResult> {
  const interrupted = interruption(() => output.note('Stopping.'));
  try {
    return await setupCuda({ ...flags, signal: interrupted.signal }, output.note);
  } catch (error) {
    if (!interrupted.signal.aborted || error !== interrupted.signal.reason) throw error;
    throw new Interrupted(interrupted.exitCode(), 'Stopped: nothing half-done was left.');
  } finally {
    interrupted.release();
  }
}

function describeSetup({ folder, build, cached, gpu, said, seconds }: SetupResult): string {
  const lines = [
    `${cached ? 'It was built already, and works' : 'Built, and it works'}: TensorFlow ${build.tensorflow} on the ${gpu ? 'GPU' : 'CPU'}, in ${seconds.toFixed(1)} s.`,
    `It lies in ${show(folder)}`,
  ];
  if (build.flavour === 'gpu' && !gpu) {
    lines.push(
      '',
      'It was built for GPUs, but TensorFlow sees none here.',
      ...(said === undefined
        ? ['It said nothing of them: these libraries may have been made without GPUs.']
        : ['It said:', ...said.split('\n').map((line) => `    ${line}`)]),
      '`nvidia-smi` tells whether the driver works. Without a GPU: tenon setup cuda --device cpu',
    );
  }
  return [
    ...lines,
    '',
    `Use it:   tenon train digits-cnn --backend cuda${gpu ? '' : ' --device cpu'}`,
    'Undo it:  tenon setup cuda --remove',
  ].join('\n');
}

function describeRemoved({ folder, bytes }: RemovedCuda): string {
  return bytes === 0
    ? `There was nothing to remove in ${show(folder)}`
    : `Removed ${(bytes / 1e6).toFixed(0)} MB from ${show(folder)}`;
}

function parseDevice(text: string): Flavour {
  if (text === 'gpu' || text === 'cpu') return text;
  throw new InvalidArgumentError('Expected gpu or cpu.');
}
