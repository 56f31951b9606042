/**
 * Whether something a suite needs is there, to be used as `describe.skipIf(!requires(chromium, 'Chromium'))`.
 *
 * A suite that needs what is missing is skipped, and says so; where `TENON_REQUIRE_ALL` is set (CI), it throws,
 * so that the file fails and nothing is skipped unnoticed.
 *
 * @param there - What was looked for: anything but `false`, `undefined`, `null` and `''` counts as found.
 * @param what - What it is and how to get it, for the message.
 */
export function requires(there: unknown, what: string): boolean {
  const found = there !== undefined && there !== null && there !== false && there !== '';
  if (!found && process.env.TENON_REQUIRE_ALL) {
    throw new Error(`This suite needs ${what}, and TENON_REQUIRE_ALL is set: it may not be skipped.`);
  }
  if (!found) console.warn(`Skipped: needs ${what}.`);
  return found;
}
