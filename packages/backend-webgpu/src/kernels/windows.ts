import type { backend_util, TensorInfo } from '@tensorflow/tfjs-core';
import { type Factor, oneByOne, type Scatter } from './product.js';

export type Conv2DInfo = ReturnType<typeof backend_util.computeConv2DInfo>;

/** The uniforms by which windows find their places in images. */
const GEOMETRY = [
  'images',
  'height',
  'width',
  'channels',
  'outHeight',
  'outWidth',
  'outChannels',
  'filterHeight',
  'filterWidth',
  'strideHeight',
  'strideWidth',
  'dilationHeight',
  'dilationWidth',
  'padTop',
  'padLeft',
] as const;

function geometryOf(info: Conv2DInfo): { uniforms: string[]; words: number[] } {
  const values: { readonly [name in (typeof GEOMETRY)[number]]: number } = {
    images: info.batchSize,
    height: info.inHeight,
    width: info.inWidth,
    channels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    outChannels: info.outChannels,
    filterHeight: info.filterHeight,
    filterWidth: info.filterWidth,
    strideHeight: info.strideHeight,
    strideWidth: info.strideWidth,
    dilationHeight: info.dilationHeight,
    dilationWidth: info.dilationWidth,
    padTop: info.padInfo.top,
    padLeft: info.padInfo.left,
  };
  return { uniforms: GEOMETRY.map((name) => `${name}: u32`), words: GEOMETRY.map((name) => values[name]) };
}

/**
 * The matrix of windows, which is never written out: a line for each position of the output, a term for each element
 * under the kernel, [height, width, in]. Beyond the image are zeros.
 */
export function windowsFactor(x: TensorInfo, info: Conv2DInfo): Factor {
  const wide = info.inChannels % 4 === 0;
  return {
    tensor: x,
    key: `windows${wide ? 4 : ''}`,
    element: wide ? 'vec4f' : 'f32',
    neighbours: 'along',
    ...geometryOf(info),
    line: `
      let position = index / u.outWidth;
      let image = position / u.outHeight * u.height * u.width * u.channels;
      let row = i32(position % u.outHeight * u.strideHeight) - i32(u.padTop);
      let column = i32(index % u.outWidth * u.strideWidth) - i32(u.padLeft);
      return vec4i(i32(image), row, column, 0);`,
    four: wide
      ? `
      let place = placeOf(line, k);
      if (k >= end || place < 0) { return vec4f(); }
      return x0[u32(place) / 4u];`
      : oneByOne('elementOf(line, $k)'),
    declarations: `
      fn placeOf(line: vec4i, k: u32) -> i32 {
        let tap = k / u.channels;
        let row = line.y + i32(tap / u.filterWidth * u.dilationHeight);
        let column = line.z + i32(tap % u.filterWidth * u.dilationWidth);
        if (row < 0 || row >= i32(u.height) || column < 0 || column >= i32(u.width)) { return -1; }
        return line.x + (row * i32(u.width) + column) * i32(u.channels) + i32(k % u.channels);
      }
      ${
        wide
          ? ''
          : `fn elementOf(line: vec4i, k: u32) -> f32 {
        let place = placeOf(line, k);
        if (place < 0) { return 0f; }
        return x0[place];
      }`
      }`,
  };
}

/** The same matrix the other way round: a line for each element under the kernel, a term for each position. */
export function turnedWindowsFactor(x: TensorInfo, info: Conv2DInfo): Factor {
  return {
    tensor: x,
    key: 'turnedWindows',
    element: 'f32',
    // Channels lie side by side.
    neighbours: 'across',
    ...geometryOf(info),
    line: `
      let tap = index / u.channels;
      let row = i32(tap / u.filterWidth * u.dilationHeight) - i32(u.padTop);
      let column = i32(tap % u.filterWidth * u.dilationWidth) - i32(u.padLeft);
      return vec4i(i32(index % u.channels), row, column, 0);`,
    // One division for four positions, which follow each other.
    four: `
      var image = k / (u.outHeight * u.outWidth);
      var row = k / u.outWidth % u.outHeight;
      var column = k % u.outWidth;
      var four = vec4f();
      ${['x', 'y', 'z', 'w']
        .map((c, j) => `if (k + ${j}u < end) { four.${c} = elementOf(line, image, row, column); }`)
        .join(`
      column++;
      if (column == u.outWidth) { column = 0u; row++; }
      if (row == u.outHeight) { row = 0u; image++; }
      `)}
      return four;`,
    declarations: `
      fn elementOf(line: vec4i, image: u32, outRow: u32, outColumn: u32) -> f32 {
        let row = line.y + i32(outRow * u.strideHeight);
        let column = line.z + i32(outColumn * u.strideWidth);
        if (row < 0 || row >= i32(u.height) || column < 0 || column >= i32(u.width)) { return 0f; }
        return x0[((i32(image * u.height) + row) * i32(u.width) + column) * i32(u.channels) + line.x];
      }`,
  };
}

/**
 * The product that is the gradient of a convolution by its input, without dilation. With stride s, the element of row h
 * meets the rows t of the kernel for which h + padTop − t is a multiple of s: those of its phase, (h + padTop) mod s. So
 * there is a product for each phase (of rows and of columns), and no term in it is a zero between strides:
 *
 *   h = s·j + phase − padTop,   dx[h] = Σ_m dy[j − m] · kernel[phase + s·m]
 *
 * What lies beyond dy is 0, and must not become NaN where it meets an infinity in the kernel (as in tfjs-backend-cpu): a
 * sum that is NaN and reaches there is made again without it.
 */
export function phasesOf(
  dy: TensorInfo,
  filter: TensorInfo,
  info: Conv2DInfo,
): { left: Factor; right: Factor; scatter: Scatter; batch: number; rows: number; inner: number } {
  const { batchSize, inHeight, inWidth, strideHeight, strideWidth, outChannels } = info;
  const gridHeight = Math.ceil(inHeight / strideHeight);
  const gridWidth = Math.ceil(inWidth / strideWidth);
  const wide = outChannels % 4 === 0;
  const common = { element: wide ? 'vec4f' : 'f32', neighbours: 'along' } as const;
  const read = (array: string, place: string): string =>
    wide ? `${array}[u32(${place}) / 4u][u32(${place}) % 4u]` : `${array}[${place}]`;
  const left: Factor = {
    tensor: dy,
    key: `phases${wide ? 4 : ''}`,
    ...common,
    ...geometryOf(info),
    line: `
      let grid = gridOf(batch, index);
      return vec4i(i32(grid.x * u.outHeight), i32(grid.y), i32(grid.z), i32(tapsOf(batch).y));`,
    four: wide
      ? `
      if (k >= end) { return vec4f(); }
      let place = dyPlace(line, k);
      if (place < 0) { return vec4f(); }
      return x0[u32(place) / 4u];`
      : oneByOne('dyElement(line, $k)'),
    declarations: `
      fn stride() -> vec2u { return vec2u(u.strideHeight, u.strideWidth); }
      fn phase(batch: u32) -> vec2u { return vec2u(batch / u.strideWidth, batch % u.strideWidth); }
      fn tapsOf(batch: u32) -> vec2u {
        return (vec2u(u.filterHeight, u.filterWidth) + stride() - 1u - phase(batch)) / stride();
      }
      // Image, and j of rows and of columns.
      fn gridOf(batch: u32, index: u32) -> vec3u {
        let first = (vec2u(u.padTop, u.padLeft) + stride() - 1u - phase(batch)) / stride();
        let row = index / u.gridWidth;
        return vec3u(row / u.gridHeight, first.x + row % u.gridHeight, first.y + index % u.gridWidth);
      }
      fn dyPlace(line: vec4i, k: u32) -> i32 {
        let tap = i32(k / u.outChannels);
        let row = line.y - tap / line.w;
        let column = line.z - tap % line.w;
        if (row < 0 || row >= i32(u.outHeight) || column < 0 || column >= i32(u.outWidth)) { return -1; }
        return ((line.x + row) * i32(u.outWidth) + column) * i32(u.outChannels) + i32(k % u.outChannels);
      }
      fn dyElement(line: vec4i, k: u32) -> f32 {
        let place = dyPlace(line, k);
        if (place < 0) { return 0f; }
        return ${read('x0', 'place')};
      }`,
  };
  const right: Factor = {
    tensor: filter,
    key: 'phases',
    ...common,
    uniforms: [],
    words: [],
    line: 'return vec4i(i32(index), vec2i(phase(batch)), i32(tapsOf(batch).y));',
    four: wide
      ? 'if (k >= end) { return vec4f(); }\nreturn x1[kernelPlace(line, k) / 4u];'
      : oneByOne('x1[kernelPlace(line, $k)]'),
    declarations: `
      fn kernelPlace(line: vec4i, k: u32) -> u32 {
        let tap = k / u.outChannels;
        let row = u32(line.y) + tap / u32(line.w) * u.strideHeight;
        let column = u32(line.z) + tap % u32(line.w) * u.strideWidth;
        return ((row * u.filterWidth + column) * u.channels + u32(line.x)) * u.outChannels + k % u.outChannels;
      }`,
  };
  const scatter: Scatter = {
    key: 'phases',
    uniforms: ['gridHeight: u32', 'gridWidth: u32'],
    words: [gridHeight, gridWidth],
    declarations: `
      fn innerOf(batch: u32) -> u32 {
        let taps = tapsOf(batch);
        return taps.x * taps.y * u.outChannels;
      }
      fn put(batch: u32, row: u32, column: u32, value: f32) {
        let grid = gridOf(batch, row);
        let at = grid.yz * stride() + phase(batch) - vec2u(u.padTop, u.padLeft);
        if (at.x >= u.height || at.y >= u.width) { return; }
        let i = ((grid.x * u.height + at.x) * u.width + at.y) * u.channels + column;
        let taps = tapsOf(batch);
        let beyond = any(grid.yz + 1u < taps) || any(grid.yz >= vec2u(u.outHeight, u.outWidth));
        if (beyond && isNan(value)) { store(i, sumWithin(batch, row, column)); } else { store(i, value); }
      }
      fn sumWithin(batch: u32, row: u32, column: u32) -> f32 {
        let a = aLine(batch, row);
        let b = bLine(batch, column);
        let inner = innerOf(batch);
        var sum = 0f;
        for (var k = 0u; k < inner; k++) {
          if (dyPlace(a, k) >= 0) {
            let place = kernelPlace(b, k);
            sum += dyElement(a, k) * ${read('x1', 'place')};
          }
        }
        return sum;
      }`,
  };
  return {
    left,
    right,
    scatter,
    batch: strideHeight * strideWidth,
    rows: batchSize * gridHeight * gridWidth,
    inner:
      Math.ceil(info.filterHeight / strideHeight) * Math.ceil(info.filterWidth / strideWidth) * outChannels,
  };
}
