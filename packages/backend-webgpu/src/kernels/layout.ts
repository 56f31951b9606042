/** x as [outer, count, inner], with what is reduced in the middle. */
export interface Reduced {
  readonly outer: number;
  readonly count: number;
  readonly inner: number;
}

/** Invocations of a workgroup: what every GPU has. */
export const WORKGROUP = 256;
/** Elements that an invocation goes through, at the least, before another is asked to help. */
const LEAST_PER_LANE = 4;
/** A reduction is cut in two stages where it makes fewer workgroups: enough for a large GPU's some hundred processors. */
const WANTED_GROUPS = 256;
/** Elements for each invocation of a first stage; below, a second stage costs more than it saves. */
const LEAST_PER_CUT = 8;

/** The least power of 2 that isn't less. */
export function powerOfTwo(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, count)));
}

/** How the 256 invocations of a workgroup are laid out: over the reduced axis, over columns, over rows. */
export interface Layout {
  readonly lanes: number;
  readonly width: number;
  readonly rows: number;
}

/** Neighbours read neighbours: along the reduced axis if it is the last one, along the columns if not. */
export function layoutOf(count: number, inner: number): Layout {
  const wanted = powerOfTwo(count / LEAST_PER_LANE);
  const lanes = Math.min(wanted, WORKGROUP / Math.min(32, powerOfTwo(inner)));
  const width = Math.min(powerOfTwo(inner), WORKGROUP / lanes);
  return { lanes, width, rows: WORKGROUP / lanes / width };
}

/** WGSL of where an invocation stands in a layout: `column`, `along` the axis, `part` of it, `row`; and whether that is `inside`. */
export function placing({ lanes, width, rows }: Layout): string {
  return `
    let block = group.y * groups.x + group.x;
    let column = (block % u.columnBlocks) * ${width}u + lane % ${width}u;
    let along = (lane / ${width}u) % ${lanes}u;
    let part = (block / u.columnBlocks) % u.parts;
    let row = block / u.columnBlocks / u.parts * ${rows}u + lane / ${width * lanes}u;
    let inside = column < u.inner && row < u.outer;`;
}

/** A reduction in parts of `chunk` elements of the reduced axis. */
export interface Cut {
  readonly chunk: number;
  readonly parts: number;
  readonly columnBlocks: number;
  /** Of all parts together. */
  readonly groups: number;
}

/** How a reduction is cut: by shapes alone, so that its bits are always the same. */
export function cut({ outer, count, inner }: Reduced, layout: Layout): Cut {
  const columnBlocks = Math.ceil(inner / layout.width);
  const groups = columnBlocks * Math.ceil(outer / layout.rows);
  const most = Math.floor(count / (layout.lanes * LEAST_PER_CUT));
  const wanted = Math.max(1, Math.min(Math.ceil(WANTED_GROUPS / Math.max(1, groups)), most));
  const chunk = Math.max(1, Math.ceil(count / wanted));
  const parts = Math.max(1, Math.ceil(count / chunk));
  return { chunk, parts, groups: groups * parts, columnBlocks };
}
