/** Vectors of four that make a part of a kernel that is bound by memory: some 20 µs. */
export const PART_VECTORS = 1 << 15;

/** How many vectors hold `size` elements of four bytes. */
export function vectorsOf(size: number): number {
  return Math.ceil(size / 4);
}

/** How many parts that makes. */
export function partsOf(vectors: number): number {
  return Math.ceil(vectors / PART_VECTORS);
}

/** How many rows of this length make a part. */
export function rowsInPart(length: number): number {
  return Math.max(1, Math.ceil((4 * PART_VECTORS) / Math.max(1, length)));
}
