import type { Picture } from './protocol.js';

/** What a model can be asked: how its inputs are given, and what it says. */
export interface SubjectInfo {
  readonly kind: 'images' | 'table' | 'text';
  /** The step of the weights that answer; null for a model from a file. */
  readonly step: number | null;
  /** [height, width, channels] of images. */
  readonly image: readonly [number, number, number] | null;
  /** Whether pictures are taken as drawn digits: dark ink, cut to its bounds. */
  readonly drawn: boolean;
  readonly classNames: readonly string[];
  readonly featureNames: readonly string[];
  /** How many numbers an example of a table has; 0 for other kinds. */
  readonly features: number;
  readonly vocabulary: number;
  /** Paths that Grad-CAM can look at, and the one to begin with: the last that is more than a few pixels. */
  readonly imageLayers: readonly string[];
  readonly gradCamLayer: string;
  /** How many training examples neighbours come from; 0 where the data isn't here. */
  readonly neighbours: number;
  readonly regression: boolean;
}

/** An input as a person gives it. */
export type SubjectInput =
  | { readonly picture: Picture }
  | { readonly features: readonly number[] }
  /** An example of the validation data (of the training data where there is none), by its number. */
  | { readonly example: number };

export interface ClassScore {
  readonly label: string;
  readonly probability: number;
}

/** What the model says of one input. */
export interface Answer {
  /** What the network was given, as a picture; null for a table. */
  readonly seen: Picture | null;
  /** In the order of the classes; empty in a regression. */
  readonly scores: readonly ClassScore[];
  /** The outputs of a regression. */
  readonly outputs: readonly number[];
  readonly predicted: number;
}

export interface Neighbour {
  readonly label: string;
  readonly similarity: number;
  readonly picture: Picture | null;
  readonly features: readonly number[];
}

/** Pictures of a layer: its kernels, or what it makes of an example. */
export interface LayerPictures {
  readonly path: string;
  readonly shape: readonly number[];
  readonly pictures: readonly Picture[];
  /** How many there are, where not all are shown. */
  readonly total: number;
}

export interface GradientSpread {
  readonly path: string;
  readonly low: number;
  readonly high: number;
  readonly counts: readonly number[];
  /** The square root of the mean of the squares. */
  readonly rms: number;
}

export interface WrongExample {
  readonly label: string;
  readonly predicted: string;
  readonly loss: number;
  readonly probability: number;
  readonly picture: Picture | null;
}

export interface TextRequest {
  readonly prompt: string;
  readonly length: number;
  readonly temperature: number;
  /** 0 for all. */
  readonly topK: number;
  readonly seed: number;
}

/** The attention of every head at every layer, over the last characters of a text. */
export interface AttentionMaps {
  readonly characters: readonly string[];
  readonly layers: readonly {
    readonly path: string;
    readonly heads: number;
    /** heads × time × time, row by row: what each place looks at. */
    readonly weights: Float32Array<ArrayBuffer>;
  }[];
}
