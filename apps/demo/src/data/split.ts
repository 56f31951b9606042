import type { ExperimentDocument } from '@tenon-ml/experiment';

export type Split = ExperimentDocument['split'];
export type SplitPart = keyof Split;

/** The shares in whole percent, which sum to 100. */
export function percents({ train, validation, test }: Split): { readonly [part in SplitPart]: number } {
  const [v, t] = [Math.round(100 * validation), Math.round(100 * test)];
  return train + validation + test > 0
    ? { train: 100 - v - t, validation: v, test: t }
    : { train: 100, validation: 0, test: 0 };
}

/**
 * The split with another share of one part, in whole percent; the sum stays 100. The training part gives and takes what
 * the others are changed by, and keeps 1 % at least; the others share what the training part gives, in proportion. Of data
 * with a test part of its own, `fixedTest`, the test's share stays as it is.
 */
export function withShare(split: Split, part: SplitPart, percent: number, fixedTest = false): Split {
  const now = percents(split);
  const free = fixedTest ? 100 - now.test : 100;
  const wanted = Math.round(Math.min(free, Math.max(0, percent)));
  if (part === 'train') {
    const train = Math.max(1, wanted);
    const rest = free - train;
    if (fixedTest) return asShares(train, rest, now.test);
    const others = now.validation + now.test;
    const validation = others === 0 ? rest : Math.round((rest * now.validation) / others);
    return asShares(train, validation, rest - validation);
  }
  const own = Math.min(wanted, free - 1);
  if (fixedTest) return part === 'test' ? split : asShares(free - own, own, now.test);
  const other = Math.min(part === 'validation' ? now.test : now.validation, 99 - own);
  const train = 100 - own - other;
  return part === 'validation' ? asShares(train, own, other) : asShares(train, other, own);
}

function asShares(train: number, validation: number, test: number): Split {
  return { train: train / 100, validation: validation / 100, test: test / 100 };
}
