/** Tries a build: another process loads it and multiplies two matrices. */
import { join } from 'node:path';
import { TenonError } from '@tenon-ml/core/errors';
import { BINDING } from '../cache.js';
import { lastWords } from './find_tools.js';
import type { Ran, RunTool } from './tool.js';
import type { Work } from './work.js';

export interface Tried {
  /** Of TensorFlow. */
  readonly version: string;
  /** Whether it computes on a GPU. */
  readonly gpu: boolean;
  /** What TensorFlow said of GPUs, a line each. */
  readonly said: string;
}

/** Why TensorFlow is ended by SIGILL. */
export const NO_AVX = "this processor lacks instructions that TensorFlow's libraries are made of (AVX)";

/** [[1, 2], [3, 4]] squared is [[7, 10], [15, 22]]. */
const SCRIPT = `
const tf = require(process.argv[1]);
const square = tf.createTensor([2, 2], tf.TF_FLOAT, new Float32Array([1, 2, 3, 4]));
const attributes = [
  { name: 'transpose_a', type: tf.TF_ATTR_BOOL, value: false },
  { name: 'transpose_b', type: tf.TF_ATTR_BOOL, value: false },
  { name: 'T', type: tf.TF_ATTR_TYPE, value: tf.TF_FLOAT },
];
const [product] = tf.executeOp('MatMul', attributes, [square, square], 1);
const values = Array.from(tf.tensorDataSync(product.id));
console.log(JSON.stringify({ version: tf.TF_Version, gpu: tf.isUsingGpuDevice(), values }));
`;

/** Throws `BACKEND_UNAVAILABLE` where the build can't be loaded, or is of another TensorFlow, or computes wrongly. */
export async function tryBinding(build: string, version: string, work: Work, run: RunTool): Promise<Tried> {
  const ran = await run([process.execPath, '-e', SCRIPT, join(build, BINDING)], {
    // What trains on the same GPU needs its memory.
    env: {
      NODE_OPTIONS: '',
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
      TF_CPP_MIN_LOG_LEVEL: '0',
      TF_CPP_MAX_VLOG_LEVEL: '0',
    },
  });
  const answer = parseAnswer(ran);
  if (answer && JSON.stringify(answer.values) === '[7,10,15,22]') {
    if (!sameRelease(answer.version, version)) {
      throw new TenonError({
        code: 'BACKEND_UNAVAILABLE',
        expected: `the binding to load TensorFlow ${version}`,
        got: answer.version,
        hint: 'Another libtensorflow may come first: look into LD_LIBRARY_PATH and LD_PRELOAD.',
      });
    }
    return { version: answer.version, gpu: answer.gpu, said: saidOfGpu(ran.output) };
  }
  const reason = reasonOf(ran);
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    message: answer ? 'the binding computes wrongly' : `the binding can't be loaded${reason}`,
    hint: `If it goes on, begin anew: tenon setup cuda --remove, then set up again.${lastWords(errorsOf(ran.output), work)}`,
  });
}

/** Python writes 2.22.0rc1 where C writes 2.22.0-rc1. */
function sameRelease(a: string, b: string): boolean {
  const release = (version: string): string | undefined => /^\d+\.\d+(\.\d+)?/.exec(version)?.[0];
  return release(a) === release(b);
}

function parseAnswer({ stdout, code }: Ran): { version: string; gpu: boolean; values: number[] } | undefined {
  if (code !== 0) return undefined;
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  } catch {
    return undefined;
  }
}

function reasonOf({ signal }: Ran): string {
  if (signal === 'SIGILL')
    return ": this processor lacks instructions that TensorFlow's libraries are made of (AVX)";
  return signal === null ? '' : `: it was ended by ${signal}`;
}

/** Node's one line on the error rather than the stack around it. */
function errorsOf(output: string): string {
  const error = output.split('\n').find((line) => /^(\w*Error): /.test(line));
  return error ?? output;
}

/** What TensorFlow wrote of GPUs, without times and places in its source. */
function saidOfGpu(output: string): string {
  const lines = output
    .split('\n')
    .filter((line) => /cuda|gpu|cudnn|nvidia/i.test(line) && !/^\s*[{[]/.test(line))
    .map((line) => line.replace(/^.*?\S+\.(?:cc|cpp|h):\d+\] /, '').trim());
  return [...new Set(lines)].join('\n');
}
