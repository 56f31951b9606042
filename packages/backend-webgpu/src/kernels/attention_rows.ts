import type { Subgroups } from '../subgroups.js';
import { type Join, joining, LARGEST, SUM } from './join.js';
import { WORKGROUP } from './layout.js';

/** Invocations of a row of the tile. */
const EACH = 8;

/**
 * WGSL of `largestOfRow(lane, scores)` and `sumOfRow(lane, value)`: of what the invocations of a tile's row have, for each of
 * them. All invocations have to call them.
 */
export function overRows(subgroups: Subgroups | undefined): string {
  return subgroups && subgroups.least >= EACH ? throughSubgroups(subgroups) : THROUGH_MEMORY;
}

const THROUGH_MEMORY = `
  var<workgroup> highs: array<f32, ${WORKGROUP}>;
  fn largestOfRow(lane: u32, scores: vec4f) -> f32 {
    highs[lane] = largestOf(scores);
    workgroupBarrier();
    let first = lane / ${EACH}u * ${EACH}u;
    var high = highs[first];
    for (var k = 1u; k < ${EACH}u; k++) { high = maximum(high, highs[first + k]); }
    return high;
  }
  fn sumOfRow(lane: u32, value: f32) -> f32 {
    workgroupBarrier();
    highs[lane] = value;
    workgroupBarrier();
    let first = lane / ${EACH}u * ${EACH}u;
    var total = 0f;
    for (var k = 0u; k < ${EACH}u; k++) { total += highs[first + k]; }
    return total;
  }`;

/** For subgroups that have whole rows. */
function throughSubgroups(subgroups: Subgroups): string {
  const joined = (join: Join): string => joining(subgroups, { lanes: EACH, width: 1 }, join, 'all').code;
  return `
  fn largestOfRow(lane: u32, scores: vec4f) -> f32 {
    // Where sums of no products make the scores, nothing else keeps the next weights from those that are still read.
    if (u.size == 0u) { workgroupBarrier(); }
    var total = largestOf(scores);
    ${joined(LARGEST)}
    return total;
  }
  fn sumOfRow(lane: u32, value: f32) -> f32 {
    var total = value;
    ${joined(SUM)}
    return total;
  }`;
}
