import type { BuildRecord, Flavour } from '../cache.js';

/** What `setupCuda` may be told; all of it can be left out. */
export interface SetupOptions {
  /** Which TensorFlow: `gpu` where there is an NVIDIA driver, else `cpu`. */
  readonly device?: Flavour;
  /** A Python 3 with pip, by its name or path: `python3`, else `python`. */
  readonly python?: string;
  /** A folder of wheels, for machines without internet; pip asks no index then. */
  readonly wheelDir?: string;
  /** The version of TensorFlow: `2.21` for any 2.21.x, or `2.22.1`. 2.21 is what was tested. */
  readonly tensorflow?: string;
  /**
   * A folder with a libtensorflow of your own, which stays where it is: with `include` and `lib` in it, as the C library is
   * published, or the folder `tensorflow` of a Python's site-packages.
   */
  readonly libtensorflow?: string;
  /** The npm package @tensorflow/tfjs-node-gpu as a file, made by `npm pack`. */
  readonly package?: string;
  /** A C++ compiler, by its name or path: $CXX, else c++, g++ or clang++. */
  readonly compiler?: string;
  /** Builds again though there is a build. */
  readonly force?: boolean;
  /** Where everything goes: `cacheFolder()`. */
  readonly cache?: string;
  /** Ends the set-up; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** What a set-up came to. */
export interface SetupResult {
  /** The build's folder. */
  readonly folder: string;
  readonly build: BuildRecord;
  /** Whether it was there already. */
  readonly cached: boolean;
  /** Whether TensorFlow saw a GPU when the build was tried. */
  readonly gpu: boolean;
  /** What TensorFlow said of GPUs where it saw none though it is the flavour for them. */
  readonly said?: string;
  /** How long it took. */
  readonly seconds: number;
}

/** Told of each step, a line for people. */
export type Report = (line: string) => void;
