import { availableParallelism } from 'node:os';
import { describe, expect, it } from 'vitest';
import { type BenchOptions, parseArguments, UsageError } from './arguments.js';
import { groupsOf } from './rounds.js';
import { findWorkload } from './workloads/index.js';

const parse = (...args: string[]) => parseArguments(args) as BenchOptions;

describe('the command line of bench', () => {
  it('has defaults', () => {
    const options = parse('mlp');
    expect(options).toMatchObject({
      several: false,
      threads: [1],
      rounds: 5,
      json: false,
      python: 'python3',
    });
    expect(options.workloads.map(({ name }) => name)).toEqual(['mlp']);
    expect(options.peers[0].name).toBe('tenon');
  });

  it('takes suites and several names, each workload once', () => {
    const options = parse('matmul', 'all');
    expect(options.several).toBe(true);
    const names = options.workloads.map(({ name }) => name);
    expect(names[0]).toBe('matmul');
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('cifar10-cnn');
    expect(parse('all').several).toBe(true);
  });

  it('chooses peers by name and by backend', () => {
    const choose = (text: string) =>
      parse('mlp', '--peers', text).peers.map(({ name, backend }) => `${name}:${backend}`);
    expect(choose('tfjs-layers')).toEqual(['tfjs-layers:cpu', 'tfjs-layers:wasm']);
    expect(choose('pytorch,tfjs-layers:wasm,tenon')).toEqual([
      'tenon:wasm',
      'tfjs-layers:wasm',
      'pytorch:cpu',
    ]);
  });

  it('asks for help', () => {
    expect(parseArguments(['--help'])).toBe('help');
  });

  it.each([
    [[], 'Name a workload'],
    [['gpt5'], "no workload or suite 'gpt5'; there are: cifar10-cnn"],
    [['mlp', '--peers', 'theano'], "no peer 'theano'; there are: tenon:wasm"],
    [['mlp', '--peers', 'tfjs-layers:webgl'], "no peer 'tfjs-layers:webgl'"],
    [['mlp', '--batch', '0'], '--batch takes whole numbers of at least 1'],
    [['mlp', '--batch', '1.5'], '--batch takes whole numbers'],
    [['mlp', '--rounds', 'x'], '--rounds takes whole numbers'],
    [['mlp', '--rounds', '1,2'], '--rounds takes one number'],
    [['mlp', '--seconds', '0'], '--seconds takes a number of seconds above 0'],
    [['mlp', '--threads', String(availableParallelism() + 1)], 'is more than the'],
    [['cpu', '--threads', '2'], "The suite 'cpu' is of one thread"],
    [['mlp', '--fast'], '--fast'],
  ])('refuses %j', (args, message) => {
    expect(() => parseArguments(args)).toThrow(UsageError);
    expect(() => parseArguments(args)).toThrow(message);
  });
});

describe('groups', () => {
  it('are batch sizes and threads for networks, sizes for products', () => {
    const cnn = findWorkload('cifar10-cnn')!;
    expect(groupsOf(cnn, [1], undefined).map(({ batch }) => batch)).toEqual([32, 128]);
    expect(groupsOf(cnn, [1, 2], [8]).map(({ batch, threads }) => [batch, threads])).toEqual([
      [8, 1],
      [8, 2],
    ]);
    const products = groupsOf(findWorkload('matmul')!, [1], [8]);
    expect(products.map(({ size }) => size)).toEqual(['256', '512', '1024', '32x128x4096']);
    expect(products.every(({ batch }) => batch === 1)).toBe(true);
  });
});
