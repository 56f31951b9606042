import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Programs } from './peers.js';
import { measure, Processes } from './rounds.js';

const folder = mkdtempSync(join(tmpdir(), 'tenon-bench-'));
const log = join(folder, 'log');
afterAll(() => rmSync(folder, { recursive: true }));

/** Measures fake peers, named by how they behave; the first is ours. */
async function measureFakes(
  behaviours: readonly string[],
  { rounds = 3, groupMs = 60, patienceMs = 20_000 } = {},
) {
  writeFileSync(log, '');
  const peers = behaviours.map((backend, i) => ({ name: i === 0 ? 'tenon' : 'other', backend, program: '' }));
  const programs = {
    command: async ({ backend }: { backend: string }) => ({
      file: backend === 'missing' ? join(folder, 'python9') : process.execPath,
      args: [join(import.meta.dirname, 'fixtures/fake_peer.mjs'), '1', backend],
      env: { ...process.env, LOG: log },
    }),
  } as unknown as Programs;
  const processes = new Processes(programs);
  // Products have one case, so that ours has no eager one.
  const group = { workload: 'matmul', threads: 1, batch: 1, size: '256' };
  const result = await measure(group, peers, processes, { rounds, groupMs, patienceMs }, () => {});
  await processes.close();
  const runs = readFileSync(log, 'utf8').trim().split('\n');
  return { ...result, runs, versions: processes.versions };
}

describe('measure', () => {
  it('takes turns, in rotating order, after everybody has warmed up', async () => {
    // Each has 20 ms in all: the slow one takes one step a round, and the fast one several.
    const { runs, rows, versions } = await measureFakes(['1', '6'], { rounds: 4, groupMs: 80 });
    const order = runs.slice(-8).map((run) => run.split(' ')[0]);
    expect(order).toEqual(['1', '6', '6', '1', '1', '6', '6', '1']);
    expect(runs.slice(-8)).toContain('1 10');
    expect(runs.slice(-8)).toContain('6 1');
    expect(versions).toEqual({ tenon: '1.2.3', other: '1.2.3' });
    expect(rows).toMatchObject([
      { peer: 'tenon', medianMs: 1, minMs: 1, maxMs: 1, ratio: 1, rounds: 4, dispatches: 7, jsMs: 0.5 },
      { peer: 'other', medianMs: 6, ratio: 6, rounds: 4 },
    ]);
  });

  it('takes the one step of a peer that is slower than all its time', async () => {
    const { rows } = await measureFakes(['1', '5000']);
    expect(rows[1]).toMatchObject({ medianMs: 5000, rounds: 1, ratio: 5000 });
  });

  it('goes on without what is missing, fails or hangs, and says why', async () => {
    const { rows, skips } = await measureFakes(
      ['2', 'absent', 'missing', 'cannot', 'throws', 'crashes', 'hangs'],
      { patienceMs: 1500 },
    );
    expect(rows.map(({ backend }) => backend)).toEqual(['2']);
    const said = Object.fromEntries(skips.map(({ backend, reason, failed }) => [backend, [reason, failed]]));
    expect(said).toEqual({
      absent: ['libtorch is on holiday', false],
      missing: [`there is no ${join(folder, 'python9')}`, false],
      cannot: ['no such network here', false],
      throws: ['kernel not registered', true],
      crashes: ['the process ended: segmentation fault, more or less', true],
      hangs: ['took more than 2 s', true],
    });
  });
});
