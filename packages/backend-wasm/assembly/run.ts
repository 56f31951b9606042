/**
 * Runs the commands from `list` up to `end`. A command is u32 words: the kernel's place in the function table, its
 * number of parts, the number of words that follow, and those: pointers of inputs and outputs, then integers.
 *
 * One thread runs all the parts of each. A scheduler for several reads the same list, and deals out the parts.
 */
export function run(list: usize, end: usize): void {
  while (list < end) {
    const args = list + 12;
    call_indirect<void>(load<u32>(list), args, 0, load<i32>(list, 4));
    list = args + (<usize>load<u32>(list, 8) << 2);
  }
}
