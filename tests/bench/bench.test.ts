import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const folder = import.meta.dirname;

function bench(...args: string[]) {
  return spawnSync(process.execPath, [join(folder, 'run.mjs'), join(folder, 'bench.ts'), ...args], {
    encoding: 'utf8',
  });
}

// Each starts processes that bundle our packages first.
describe('bench', { timeout: 300_000 }, () => {
  it('prints JSON of a fixed shape, and nothing else', () => {
    const { stdout, stderr, status } = bench(
      ...['mlp', '--peers', 'tenon', '--batch', '2', '--rounds', '2', '--seconds', '0.4', '--json'],
    );
    expect(status, stderr).toBe(0);
    const report = JSON.parse(stdout);
    expect(Object.keys(report)).toEqual(['workload', 'machine', 'results']);
    expect(report.workload).toBe('mlp');
    expect(report.machine).toMatchObject({
      node: process.versions.node,
      v8: process.versions.v8,
      cpu: expect.any(String),
      cores: expect.any(Number),
      peers: { tenon: 'source' },
      skipped: {},
    });
    expect(report.results.map((result: { case: string }) => result.case)).toEqual(['step', 'eager']);
    for (const { medianMs, minMs, maxMs, jsMs, dispatches, planBytes, ...rest } of report.results) {
      expect(rest).toEqual({
        peer: 'tenon',
        backend: 'wasm',
        threads: 1,
        batch: 2,
        case: expect.stringMatching(/^(step|eager)$/),
      });
      expect(minMs).toBeGreaterThan(0);
      expect(medianMs).toBeGreaterThanOrEqual(minMs);
      expect(maxMs).toBeGreaterThanOrEqual(medianMs);
      expect(jsMs).toBeGreaterThan(0);
      if (dispatches !== undefined) expect(dispatches).toBeGreaterThan(0);
      expect(planBytes === undefined).toBe(rest.case === 'eager');
    }
  });

  it('prints an array for several workloads, and goes on without the peers that are missing', () => {
    const { stdout, status } = bench(
      ...['mlp', 'inference', '--peers', 'tenon,pytorch', '--python', '/nowhere/python', '--batch', '1'],
      ...['--rounds', '1', '--seconds', '0.4', '--json'],
    );
    expect(status).toBe(0);
    const reports = JSON.parse(stdout);
    expect(reports.map(({ workload }: { workload: string }) => workload)).toEqual(['mlp', 'inference']);
    for (const { results, machine } of reports) {
      expect(new Set(results.map(({ peer }: { peer: string }) => peer))).toEqual(new Set(['tenon']));
      expect(machine.skipped).toEqual({ 'pytorch (cpu), batch 1, step': 'there is no /nowhere/python' });
    }
  });

  it('prints a table with ratios, and says what does not run and why', () => {
    const { stdout, status } = bench(
      ...[
        'cifar10-cnn',
        '--peers',
        'tenon,tfjs-layers:wasm',
        '--batch',
        '1',
        '--rounds',
        '1',
        '--seconds',
        '0.4',
      ],
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^cifar10-cnn, batch 1, 1 thread$/m);
    expect(stdout).toMatch(/^ {2}tenon \(wasm\) +1 +step +[\d.]+ .* 1\.00 +1\.00/m);
    expect(stdout).toMatch(/^ {2}tfjs-layers \(wasm\), step: FAILED: Kernel 'Conv2DBackpropFilter'/m);
  });

  it('explains itself to who calls it wrongly, and leaves no bundle behind', () => {
    const cache = join(folder, '../node_modules/.cache/bench');
    const bundles = () => (existsSync(cache) ? readdirSync(cache) : []);
    const before = bundles();
    const { stdout, stderr, status } = bench('mpl');
    expect(status).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^There is no workload or suite 'mpl'; there are: cifar10-cnn,/);
    expect(stderr).not.toMatch(/\n +at /);
    expect(bundles()).toEqual(before);
  });

  it('ends its peers and removes its bundles when it is told to stop', async () => {
    const cache = join(folder, '../node_modules/.cache/bench');
    const before = existsSync(cache) ? readdirSync(cache) : [];
    const child = spawn(process.execPath, [
      ...[join(folder, 'run.mjs'), join(folder, 'bench.ts')],
      ...['matmul', '--peers', 'tenon', '--seconds', '1000'],
    ]);
    const made = () => readdirSync(cache).filter((name) => !before.includes(name));
    while (!made().some((name) => name.includes('tenon'))) await new Promise((done) => setTimeout(done, 20));
    child.kill('SIGTERM');
    expect((await once(child, 'exit'))[0]).toBe(143);
    expect(made()).toEqual([]);
  });
});
