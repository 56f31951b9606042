import {
  backend_util,
  Conv2D,
  type Conv2DAttrs,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  Conv2DBackpropInput,
  type Conv2DBackpropInputAttrs,
  FusedConv2D,
  type FusedConv2DAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { defineFusedKernel } from './epilogue.js';
import { type Block, defineKernel, type Engine, type Kernel } from './kernel.js';
import { panelsAtOnce, product, RELU } from './product.js';

type Conv2DInfo = ReturnType<typeof backend_util.computeConv2DInfo>;
type Shape = [number, number, number, number];

/** Multiplications that make a part: some 50 µs at 20 to 40 GFLOP/s. */
const PART_WORK = 2 ** 20;

/**
 * Two-dimensional convolution, NHWC, as products with an operand that is never written out: U, the matrix of windows,
 * one row for each output position and one column for each element under the kernel. With K the kernel as a matrix
 * [height·width·in, out]:
 *
 *   y = U · K,   ∂K = Uᵀ · ∂y,   ∂x = fold(∂y · Kᵀ)
 *
 * x: [batch, height, width, in], kernel: [height, width, in, out], y: [batch, outHeight, outWidth, out]; float32,
 * other dtypes, NCHW, and a ∂y of another shape than y (tfjs's suite has one) go to tfjs-backend-cpu. Padding is a
 * border of zeros that x is copied into, so where it meets Inf or NaN in the kernel or in ∂y the result is NaN, as in
 * PyTorch; tfjs-backend-cpu leaves out what lies on the padding.
 */
const conv2D = defineKernel<Conv2DAttrs>(Conv2D, ({ inputs: { x, filter }, attrs, engine }) =>
  convolve(engine, x, filter, attrs, undefined, false),
);

/** A convolution, its bias and its activation, NHWC: the bits of the ops one after another. */
const fusedConv2D = defineFusedKernel<FusedConv2DAttrs>(
  FusedConv2D,
  ({ x, filter }, { dataFormat }) => (isOurs(x, filter, dataFormat) ? filter.shape[3] : undefined),
  ({ inputs: { x, filter }, attrs, engine }, bias, relu) => convolve(engine, x, filter, attrs, bias, relu),
);

function convolve(
  engine: Engine,
  x: TensorInfo,
  filter: TensorInfo,
  attrs: Conv2DAttrs | FusedConv2DAttrs,
  bias: TensorInfo | undefined,
  relu: boolean,
): TensorInfo | undefined {
  if (!isOurs(x, filter, attrs.dataFormat)) return undefined;
  const { strides, dilations, pad, dimRoundingMode } = attrs;
  const info = backend_util.computeConv2DInfo(
    x.shape as Shape,
    filter.shape as Shape,
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  const { outHeight, outWidth, outChannels, filterHeight, filterWidth, inChannels } = info;
  const { dilationHeight, dilationWidth, strideHeight, strideWidth } = info;
  const positions = info.batchSize * outHeight * outWidth;
  const terms = filterHeight * filterWidth * inChannels;
  const out = engine.allocate(info.outShape, 'float32');
  if (positions === 0 || outChannels === 0) return out;
  const frame = frameOf(info);
  if (terms === inChannels && strideHeight === 1 && strideWidth === 1 && !frame.needed) {
    product(engine, {
      a: engine.block(x),
      b: engine.block(filter),
      out: engine.block(out),
      rows: positions,
      inner: inChannels,
      columns: outChannels,
      bias: bias && engine.block(bias),
      activation: relu ? 'relu' : 'linear',
    });
    return out;
  }
  const framed = frameImages(engine, engine.block(x), info, frame);

  const panels = Math.ceil(outChannels / 8);
  const packed = engine.scratch(panels * terms * 32);
  const perPart = panelsAtOnce(panels, terms);
  const row = outChannels * 4;
  const panel = terms * 32;
  engine.launch(
    'packPanels',
    Math.ceil(panels / perPart),
    [engine.block(filter)],
    [packed],
    [terms, outChannels, 0, panels, row, 4, 0, 0, panel, perPart, 0],
  );

  // The window, as runs of adjoining elements.
  const joined = dilationWidth === 1;
  const length = joined ? filterWidth * inChannels : inChannels;
  const inner = joined ? 1 : filterWidth;
  const innerSkip = joined ? 0 : (dilationWidth - 1) * inChannels * 4;
  const outerSkip = dilationHeight * frame.line - inner * (length * 4 + innerSkip);
  const wanted = Math.floor(PART_WORK / Math.max(1, terms * outChannels));
  const positionsPerPart = Math.min(256, Math.max(16, wanted & ~3));
  engine.launch(
    'convolve',
    Math.ceil(positions / positionsPerPart),
    [framed, packed, bias ? engine.block(bias) : null],
    [engine.block(out), engine.scratch(Math.ceil(positions / 4) * 16)],
    [
      positions,
      outHeight,
      outWidth,
      frame.rows * frame.line,
      strideHeight * frame.line,
      strideWidth * inChannels * 4,
      filterHeight,
      inner,
      length,
      innerSkip,
      outerSkip,
      outChannels,
      relu ? RELU : 0,
      positionsPerPart,
    ],
  );
  return out;
}

/** Positions of ∂y that the filter's gradient packs at a time: with 64 channels they are 40 kB. */
const BLOCK_POSITIONS = 160;
/** Rows of the filter's gradient in a part: enough that packing ∂y for each part again costs little. */
const PART_ROWS = 144;
/** Parts that the filter's gradient is cut into, if there is work for so many. */
const WANTED_PARTS = 16;

/**
 * ∂K of `conv2D`, without dilation (as tfjs's gradient of it). The sum over positions is cut into chunks, each of which
 * adds up its own; how many there are depends on shapes alone.
 */
const conv2DBackpropFilter = defineKernel<Conv2DBackpropFilterAttrs>(
  Conv2DBackpropFilter,
  ({ inputs: { x, dy }, attrs, engine }) => {
    if (!isOurs(x, dy, attrs.dataFormat)) return undefined;
    const { filterShape, strides, pad, dimRoundingMode } = attrs;
    const info = backend_util.computeConv2DInfo(
      x.shape as Shape,
      filterShape,
      strides,
      1,
      pad,
      dimRoundingMode,
    );
    if (!util.arraysEqual(dy.shape, info.outShape)) return undefined;
    const { batchSize, outHeight, outWidth, outChannels, filterHeight, filterWidth, inChannels } = info;
    const out = engine.allocate(info.filterShape, 'float32');
    const run = filterWidth * inChannels;
    const rows = filterHeight * run;
    if (rows === 0 || outChannels === 0) return out;
    const frame = frameOf(info);
    const framed = frameImages(engine, engine.block(x), info, frame);

    // A block: whole images, or lines of one.
    const area = outHeight * outWidth;
    const images = Math.max(1, Math.min(batchSize, Math.floor(BLOCK_POSITIONS / area)));
    const groups =
      images > 1 ? 1 : Math.ceil(outHeight / Math.max(1, Math.round(BLOCK_POSITIONS / outWidth)));
    const lines = Math.ceil(outHeight / groups);
    const blocks = Math.ceil(outHeight / lines) * Math.ceil(batchSize / images);

    const rowParts = Math.ceil(rows / PART_ROWS);
    const rowsPerPart = Math.ceil(rows / rowParts / 4) * 4;
    const wantedChunks = Math.min(blocks, Math.ceil(WANTED_PARTS / rowParts));
    const blocksPerChunk = Math.ceil(blocks / Math.max(1, wantedChunks));
    const chunks = blocks === 0 ? 0 : Math.ceil(blocks / blocksPerChunk);
    const parts = chunks * Math.ceil(rows / rowsPerPart);

    const vectors = Math.ceil((rows * outChannels) / 4);
    const chunkBytes = Math.ceil(vectors / 4) * 64;
    const target = chunks === 1 ? engine.block(out) : engine.scratch(chunks * chunkBytes);
    const panelBytes = images * lines * outWidth * Math.ceil(outChannels / 8) * 32;
    engine.launch(
      'filterGradient',
      parts,
      [framed, engine.block(dy)],
      [target, engine.scratch(parts * panelBytes)],
      [
        batchSize,
        outHeight,
        outWidth,
        frame.rows * frame.line,
        info.strideHeight * frame.line,
        info.strideWidth * inChannels * 4,
        rows,
        run,
        frame.line,
        outChannels,
        images,
        lines,
        blocksPerChunk,
        chunkBytes,
        rowsPerPart,
      ],
    );
    if (chunks !== 1) {
      const perPart = 4096;
      engine.launch(
        'sumChunks',
        Math.ceil(vectors / perPart),
        [target],
        [engine.block(out)],
        [vectors, chunks, chunkBytes, perPart],
      );
    }
    return out;
  },
);

/** ∂x of `conv2D`, without dilation. */
const conv2DBackpropInput = defineKernel<Conv2DBackpropInputAttrs>(
  Conv2DBackpropInput,
  ({ inputs: { dy, filter }, attrs, engine }) => {
    if (!isOurs(dy, filter, attrs.dataFormat)) return undefined;
    const { inputShape, strides, pad, dimRoundingMode } = attrs;
    const info = backend_util.computeConv2DInfo(
      inputShape,
      filter.shape as Shape,
      strides,
      1,
      pad,
      dimRoundingMode,
    );
    if (!util.arraysEqual(dy.shape, info.outShape)) return undefined;
    const { batchSize, outHeight, outWidth, outChannels, filterHeight, filterWidth, inChannels } = info;
    const out = engine.allocate(info.inShape, 'float32');
    if (inChannels === 0) return out;
    const frame = frameOf(info);
    const area = outHeight * outWidth;
    if (
      filterHeight * filterWidth === 1 &&
      info.strideHeight === 1 &&
      info.strideWidth === 1 &&
      !frame.needed
    ) {
      product(engine, {
        a: engine.block(dy),
        b: engine.block(filter),
        out: engine.block(out),
        rows: batchSize * area,
        inner: outChannels,
        columns: inChannels,
        transposeB: true,
      });
      return out;
    }

    const taps = filterHeight * filterWidth;
    const panels = Math.ceil(inChannels / 8);
    const panel = outChannels * 32;
    const packed = engine.scratch(taps * panels * panel);
    const perPart = panelsAtOnce(panels, outChannels);
    const row = outChannels * 4;
    engine.launch(
      'packPanels',
      taps * Math.ceil(panels / perPart),
      [engine.block(filter)],
      [packed],
      [
        outChannels,
        inChannels,
        0,
        panels,
        4,
        row,
        0,
        panels * panel,
        panel,
        perPart,
        1,
        taps,
        inChannels * row,
      ],
    );

    const imageBytes = frame.rows * frame.line;
    const dx = frame.needed ? engine.scratch(batchSize * imageBytes) : engine.block(out);
    engine.launch(
      'inputGradient',
      batchSize,
      [engine.block(dy), packed],
      [dx, engine.scratch(batchSize * Math.ceil(area / 4) * 16)],
      [
        outHeight,
        outWidth,
        imageBytes,
        info.strideHeight * frame.line,
        info.strideWidth * inChannels * 4,
        filterHeight,
        filterWidth,
        frame.line,
        inChannels,
        outChannels,
      ],
    );
    if (frame.needed) moveFrame(engine, dx, engine.block(out), info, frame, true);
    return out;
  },
);

export const convolutionKernels: readonly Kernel[] = [
  conv2D,
  fusedConv2D,
  conv2DBackpropFilter,
  conv2DBackpropInput,
];

function isOurs(a: TensorInfo, b: TensorInfo, dataFormat: string): boolean {
  return a.dtype === 'float32' && b.dtype === 'float32' && dataFormat === 'NHWC';
}

/** What the windows cover: the image, with a border where they reach beyond it. */
interface Frame {
  /** Whether there is a border. */
  readonly needed: boolean;
  readonly rows: number;
  /** Bytes of a row. */
  readonly line: number;
}

function frameOf(info: Conv2DInfo): Frame {
  const { inHeight, inWidth, padInfo } = info;
  const height = (info.outHeight - 1) * info.strideHeight + (info.filterHeight - 1) * info.dilationHeight + 1;
  const width = (info.outWidth - 1) * info.strideWidth + (info.filterWidth - 1) * info.dilationWidth + 1;
  const rows = Math.max(padInfo.top + inHeight, height);
  const columns = Math.max(padInfo.left + inWidth, width);
  return { needed: rows !== inHeight || columns !== inWidth, rows, line: columns * info.inChannels * 4 };
}

/** x with its border, if it needs one. */
function frameImages(engine: Engine, x: Block, info: Conv2DInfo, frame: Frame): Block {
  if (!frame.needed) return x;
  const framed = engine.scratch(info.batchSize * frame.rows * frame.line);
  moveFrame(engine, x, framed, info, frame, false);
  return framed;
}

function moveFrame(
  engine: Engine,
  source: Block,
  target: Block,
  { batchSize, inHeight, inWidth, inChannels, padInfo }: Conv2DInfo,
  { rows, line }: Frame,
  crop: boolean,
): void {
  const lines = batchSize * (crop ? inHeight : rows);
  const perPart = Math.max(1, Math.ceil(2 ** 16 / Math.max(1, line)));
  engine.launch(
    'frameImages',
    Math.ceil(lines / perPart),
    [source],
    [target],
    [
      inHeight,
      inWidth * inChannels * 4,
      rows,
      line,
      padInfo.top,
      padInfo.left * inChannels * 4,
      crop ? 1 : 0,
      lines,
      perPart,
    ],
  );
}
