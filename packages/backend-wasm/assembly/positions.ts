/**
 * Writes where in an image each of `count` positions lies, from position `first` on: pointers, the last one again until
 * their number is a multiple of four.
 */
export function locate(
  table: usize,
  first: i32,
  count: i32,
  base: usize,
  height: i32,
  width: i32,
  imageStride: usize,
  rowStride: usize,
  columnStride: usize,
): void {
  const line = first / width;
  const image = line / height;
  let column = first - line * width;
  let row = line - image * height;
  let start = base + <usize>image * imageStride + <usize>row * rowStride;
  let pointer: usize = 0;
  for (let i = 0; i < count; i++) {
    pointer = start + <usize>column * columnStride;
    store<u32>(table, <u32>pointer);
    table += 4;
    if (++column == width) {
      column = 0;
      start += rowStride;
      if (++row == height) {
        row = 0;
        start += imageStride - <usize>height * rowStride;
      }
    }
  }
  for (let i = count; (i & 3) != 0; i++) {
    store<u32>(table, <u32>pointer);
    table += 4;
  }
}
