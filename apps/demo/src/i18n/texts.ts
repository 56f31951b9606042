/** The texts of a part of the page in both languages, which have the same names: TypeScript compares them. */
export function inBoth<T>(texts: { readonly en: T; readonly zh: NoInfer<T> }): {
  readonly en: T;
  readonly zh: T;
} {
  return texts;
}
