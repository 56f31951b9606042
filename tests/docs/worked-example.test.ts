import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { examplesOf } from '../readme/examples.js';

// The programs of the page are run by tests/readme. Here its arithmetic is: every line of a block ```text hand is
// `name = expression = … = value`, or ≈ before a value that is rounded, and all of its terms must agree.

const text = readFileSync(join(import.meta.dirname, '../../docs/worked-example.md'), 'utf8');

interface Section {
  readonly title: string;
  readonly lines: readonly string[];
  /** What its program prints. */
  readonly printed: readonly string[];
}

const sections: Section[] = text
  .split(/^## /m)
  .slice(1)
  .map((section) => ({
    title: section.split('\n')[0],
    lines: [...section.matchAll(/^```text hand\n([\s\S]*?)^```$/gm)].flatMap(([, block]) =>
      block.trim().split('\n'),
    ),
    printed: examplesOf('', section).flatMap(({ expected }) => expected),
  }));

type Scope = Record<string, number>;

const functions = { e: Math.E, log: Math.log, max: Math.max, sqrt: Math.sqrt };

/** An expression in float64, by JavaScript: independent of everything that Tenon computes with. */
function evaluate(expression: string, scope: Scope): number {
  const names = { ...functions, ...scope };
  const code = expression.replaceAll('·', '*').replaceAll('^', '**');
  const value: unknown = new Function(...Object.keys(names), `'use strict'; return ${code};`)(
    ...Object.values(names),
  );
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Error(`${expression} is ${value}`);
  return value;
}

/** Half a unit of the last digit that a number shows: `-6.1922e-5` stands for ±0.00005e-5 around it. */
function roundingOf(shown: string): number {
  const [, decimals = '', exponent = '0'] = /^-?\d+(?:\.(\d+))?(?:e(-?\d+))?$/.exec(shown) ?? [];
  return 0.5 * 10 ** (Number(exponent) - decimals.length);
}

/** Checks a line, and enters what it defines into the scope. */
function check(line: string, scope: Scope): void {
  const [first, ...rest] = line.split(/\s(?=[=≈]\s)/);
  const terms = rest.map((term) => ({ exact: term[0] === '=', expression: term.slice(2).trim() }));
  if (terms.length === 0) throw new Error(`nothing to compare in: ${line}`);
  const defines = /^[A-Za-z_]\w*$/.test(first) && !(first in scope);
  const value = evaluate(defines ? terms[0].expression : first, scope);
  for (const { exact, expression } of terms) {
    const other = evaluate(expression, scope);
    const allowed = exact ? 1e-12 * Math.max(1, Math.abs(value)) : roundingOf(expression);
    expect(Math.abs(other - value), `${line}: ${expression} is ${other}, not ${value}`).toBeLessThanOrEqual(
      allowed,
    );
  }
  if (defines) scope[first] = value;
}

function work(section: Section): Scope {
  const scope: Scope = {};
  for (const line of section.lines) check(line, scope);
  return scope;
}

describe('the arithmetic of the worked example', () => {
  it('is all there', () => {
    expect(sections).toHaveLength(4);
    expect(sections.map(({ lines }) => lines.length > 0)).toEqual([true, true, true, true]);
  });

  it.each(sections)('$title', (section) => {
    work(section);
  });

  it('is what Tenon prints: the step of the network, to the last bit', () => {
    const s = work(sections[0]);
    const rows = [
      ['prediction', [[s.y]]],
      ['loss', s.loss],
      ['slopes', [[s.dv1], [s.dv2]]],
      ['slopes', [s.dc]],
      [
        'slopes',
        [
          [s.dk11, s.dk12],
          [s.dk21, s.dk22],
        ],
      ],
      ['slopes', [s.db1, s.db2]],
      [
        'new',
        [
          [s.K11, s.K12],
          [s.K21, s.K22],
        ],
      ],
      ['new', [s.B1, s.B2]],
      ['new', [[s.V1], [s.V2]]],
      ['new', [s.C]],
      ['loss', (s.Y - s.t) ** 2],
    ] as const;
    const lines = rows.map(
      ([name, value], i) => `${name} ${i === 10 ? Number(value).toFixed(6) : inspect(value)}`,
    );
    expect(sections[0].printed).toEqual(lines);
  });

  it('is what Tenon prints: the slopes with one softmax and with two', () => {
    const { right, wrong, best, worst } = work(sections[1]);
    const first = sections[1].printed.filter((line) => line.includes('step 0'));
    expect(first[0]).toContain(`slope ${right.toExponential(2)}`);
    expect(first[1]).toContain(`slope ${wrong.toExponential(2)}`);
    for (const line of sections[1].printed.filter((printed) => printed.startsWith('softmax'))) {
      const loss = Number(/loss ([\d.]+)/.exec(line)?.[1]);
      expect(loss).toBeGreaterThan(best);
      expect(loss).toBeLessThan(worst);
    }
  });

  it('is what Tenon prints: pairs of examples', () => {
    const { pairs } = work(sections[2]);
    expect(sections[2].printed.at(-1)).toBe(`right: ${pairs} different pairs in 100 epochs`);
    const wrong = sections[2].printed
      .slice(0, 3)
      .map((line) => line.split(': ')[1].split(' | ').sort().join());
    expect(new Set(wrong).size).toBe(1);
  });

  it('is what Tenon prints: Adam', () => {
    const s = work(sections[3]);
    const text = (values: number[]): string => values.map((value) => value.toFixed(6)).join(' ');
    expect(sections[3].printed.slice(0, 2)).toEqual([text([1, s.p_1, s.p_2]), text([1, s.P_1, s.P_2])]);
    const lengths = [s.step_1, s.step_12, s.step_100].map((length) => length.toFixed(2)).join(' ');
    expect(sections[3].printed.at(-1)).toBe(`not corrected: ${lengths}`);
  });

  it('notices a wrong digit, and a wrong sign', () => {
    expect(() => check('x = 1 + 1 = 3', {})).toThrow('x = 1 + 1 = 3');
    expect(() => check('1/3 ≈ 0.334', {})).toThrow('0.334');
    expect(() => check('1/3 ≈ 0.333', {})).not.toThrow();
    expect(() => check('x = 2', { x: -2 })).toThrow();
    expect(() => check('x = y', {})).toThrow();
  });
});
