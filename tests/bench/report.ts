import { cpus, totalmem } from 'node:os';
import type { Measured, Result, Row } from './rounds.js';

/** Where figures come from: they mean little without. */
export interface Machine {
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  /** Versions of the peers that ran. */
  readonly peers: { readonly [name: string]: string };
  /** Why a peer, or one of its cases, did not run. */
  readonly skipped: { readonly [what: string]: string };
}

/** What `--json` prints, once for each workload. */
export interface Report {
  readonly workload: string;
  readonly machine: Machine;
  readonly results: readonly Result[];
}

export function describeMachine(
  peers: { readonly [name: string]: string },
  measured: readonly Measured[],
): Machine {
  const processors = cpus();
  const skipped: Record<string, string> = {};
  for (const { skips, group } of measured) {
    for (const { peer, backend, reason, case: name } of skips)
      skipped[`${peer} (${backend}), batch ${group.batch}, ${name}`] = reason;
  }
  return {
    node: process.versions.node,
    v8: process.versions.v8,
    platform: `${process.platform} ${process.arch}`,
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    peers,
    skipped,
  };
}

export function makeReport(
  workload: string,
  peers: { readonly [name: string]: string },
  measured: readonly Measured[],
): Report {
  const results = measured.flatMap(({ rows }) =>
    rows.map(({ rounds: _, times: __, ratio: ___, ...result }) => result),
  );
  return { workload, machine: describeMachine(peers, measured), results };
}

/** The machine in a line. */
export function machineLine({ node, v8, platform, cpu, cores, memoryGb }: Machine): string {
  return `Node ${node} (V8 ${v8}), ${platform}, ${cpu}, ${cores} cores, ${memoryGb} GB`;
}

/** A comparison as a table: times are milliseconds a step; ratios are theirs to ours, so above 1 we are faster. */
export function table({ group, rows, skips }: Measured): string {
  const size = group.size ?? `batch ${group.batch}`;
  const threads = `${group.threads} thread${group.threads === 1 ? '' : 's'}`;
  const ours = rows.find(({ peer }) => peer === 'tenon')?.medianMs;
  const cells = [
    [
      'peer',
      'threads',
      'case',
      'ms a step',
      'least',
      'most',
      'rounds',
      '× ours',
      'by round',
      'launches',
      'JS ms',
      'MB between',
    ],
    ...rows.map((row) => cellsOf(row, ours)),
  ];
  // Columns that nobody fills, left out.
  const filled = cells[0].map((_, column) => cells.slice(1).some((line) => line[column] !== ''));
  const widths = cells[0].map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const lines = cells.map((line) =>
    line
      .map((cell, column) =>
        column === 0 || column === 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
      )
      .filter((_, column) => filled[column])
      .join('  ')
      .trimEnd(),
  );
  return [
    `${group.workload}, ${size}, ${threads}`,
    ...lines.map((line) => `  ${line}`),
    ...skips.map(
      ({ peer, backend, case: name, reason, failed }) =>
        `  ${peer} (${backend}), ${name}: ${failed ? 'FAILED' : 'skipped'}: ${reason}`,
    ),
  ].join('\n');
}

function cellsOf(row: Row, ours: number | undefined): string[] {
  return [
    `${row.peer} (${row.backend})`,
    String(row.threads),
    row.case,
    format(row.medianMs),
    format(row.minMs),
    format(row.maxMs),
    String(row.rounds),
    ours === undefined ? '' : format(row.medianMs / ours),
    row.ratio === undefined || Number.isNaN(row.ratio) ? '' : format(row.ratio),
    row.dispatches === undefined ? '' : String(row.dispatches),
    row.jsMs === undefined ? '' : format(row.jsMs),
    row.planBytes === undefined ? '' : format(row.planBytes / 1e6),
  ];
}

/** Three significant digits. */
function format(value: number): string {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value >= 1 ? value.toFixed(2) : value.toFixed(3);
}
