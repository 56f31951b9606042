/** The learning rate among an optimizer's scalars, whose names a chain puts prefixes to; 0 for an optimizer without one. */
export function learningRateOf(scalars: { readonly [name: string]: number }): number {
  const name = Object.keys(scalars).find((key) => /(^|\W)learningRate$/.test(key));
  return name === undefined ? 0 : scalars[name];
}
