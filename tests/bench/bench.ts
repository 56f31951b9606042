/** `npm run bench -- NAME...`: training steps and predictions, ours and other libraries', interleaved. See docs/bench.md. */
import { type BenchOptions, parseArguments, UsageError, usage } from './arguments.js';
import { Programs } from './peers.js';
import { machineLine, makeReport, type Report, table } from './report.js';
import { groupsOf, type Measured, measure, Processes } from './rounds.js';

/** Gives the exit code: 1 where one of our own cases failed. */
async function bench(options: BenchOptions): Promise<number> {
  const { workloads, several, peers, rounds, patience, json } = options;
  const plans = workloads.map((workload) => ({
    name: workload.name,
    groups: groupsOf(workload, options.threads, options.batches),
  }));
  const groups = plans.reduce((sum, plan) => sum + plan.groups.length, 0);
  const groupMs = 1000 * (options.seconds === undefined ? 20 : options.seconds / groups);
  const settings = { rounds, groupMs, patienceMs: 1000 * patience };

  const programs = new Programs(options.python);
  const reports: Report[] = [];
  let failed = false;
  process.on('exit', () => programs.clear());
  for (const plan of plans) {
    const processes = new Processes(programs);
    const measured: Measured[] = [];
    for (const group of plan.groups) {
      const where = `${group.workload}, ${group.size ?? `batch ${group.batch}`}, ${group.threads} threads`;
      // What has one thread whatever it is told is measured once.
      const first = group.threads === options.threads[0];
      const able = peers.filter((source) => first || !source.singleThreaded);
      const result = await measure(group, able, processes, settings, (text) => progress(`${where}: ${text}`));
      progress('');
      measured.push(result);
      if (!json) console.log(`${table(result)}\n`);
      failed ||= result.skips.some((skip) => skip.failed && skip.peer === 'tenon');
    }
    await processes.close();
    reports.push(makeReport(plan.name, processes.versions, measured));
  }
  if (json) console.log(JSON.stringify(several ? reports : reports[0], null, 2));
  else {
    const versions = Object.assign({}, ...reports.map(({ machine }) => machine.peers));
    console.log(machineLine(reports[0].machine));
    console.log(
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    );
  }
  return failed ? 1 : 0;
}

/** One line that replaces itself, where somebody looks. */
function progress(text: string): void {
  if (process.stderr.isTTY)
    process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
}

// So that what is to be done at the exit is done: peers ended, bundles removed.
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
try {
  const options = parseArguments(process.argv.slice(2));
  if (options === 'help') console.log(usage);
  else process.exitCode = await bench(options);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${usage}`);
  process.exitCode = 2;
}
