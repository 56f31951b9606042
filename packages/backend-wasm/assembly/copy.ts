/** Bytes of a block to another: [from, to, bytes, chunk]. A part is a chunk of so many bytes. */
export function copy(args: usize, begin: i32, end: i32): void {
  const from = <usize>load<u32>(args);
  const to = <usize>load<u32>(args, 4);
  const bytes = load<i32>(args, 8);
  const chunk = load<i32>(args, 12);
  const first = begin * chunk;
  const last = min(end * chunk, bytes);
  if (first < last) memory.copy(to + first, from + first, last - first);
}
