import { describe, expect, it } from 'vitest';
import { createGate, createTurns } from '../src/worker/turns.js';

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

describe('createTurns', () => {
  it('runs one after the other, in the order in which they were asked for', async () => {
    const turn = createTurns();
    const log: string[] = [];
    const work = (name: string) => async (): Promise<string> => {
      log.push(`${name} begins`);
      await soon();
      log.push(`${name} ends`);
      return name;
    };
    const results = await Promise.all([turn(work('a')), turn(work('b')), turn(() => 'c')]);
    expect(results).toEqual(['a', 'b', 'c']);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  it('goes on after one that fails, whose error is its own', async () => {
    const turn = createTurns();
    const failing = turn(() => Promise.reject(new Error('lost')));
    const next = turn(() => 1);
    await expect(failing).rejects.toThrow('lost');
    expect(await next).toBe(1);
  });
});

describe('createGate', () => {
  it('lets through while it is open, and all that wait once it opens', async () => {
    const gate = createGate();
    await gate.pass();
    gate.set(false);
    expect(gate.open).toBe(false);
    let passed = 0;
    const waiting = [gate.pass(), gate.pass()].map((pass) => pass.then(() => passed++));
    await soon();
    expect(passed).toBe(0);
    gate.set(true);
    await Promise.all(waiting);
    expect(passed).toBe(2);
  });

  it('holds again what comes after it was closed anew', async () => {
    const gate = createGate();
    gate.set(false);
    const first = gate.pass();
    gate.set(true);
    gate.set(false);
    await first;
    let passed = false;
    void gate.pass().then(() => {
      passed = true;
    });
    await soon();
    expect(passed).toBe(false);
  });
});
