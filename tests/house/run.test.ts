import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

const module = pathToFileURL(join(import.meta.dirname, '../../scripts/run.mjs')).href;

/** A process that runs `program` as its child, the way the scripts run the command line. */
function parentOf(program: string): { parent: ChildProcess; output: () => string } {
  const source = `import { run } from ${JSON.stringify(module)};
process.exitCode = (await run(process.execPath, ['-e', ${JSON.stringify(program)}])).code;`;
  // A session of its own, so that no terminal of the developer's has a part in it.
  const parent = spawn(process.execPath, ['--input-type=module', '-e', source], { detached: true });
  let text = '';
  parent.stdout.on('data', (chunk) => {
    text += chunk;
  });
  return { parent, output: () => text };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('run', () => {
  it("passes on the child's exit code", async () => {
    const { parent } = parentOf('process.exitCode = 7');
    expect((await once(parent, 'close'))[0]).toBe(7);
  });

  it('gives 128 + the number of the signal that ended the child', async () => {
    const { parent } = parentOf("process.kill(process.pid, 'SIGKILL'); setTimeout(() => {}, 10_000)");
    expect((await once(parent, 'close'))[0]).toBe(137);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('passes %s on once, and waits for the child to finish', async (signal, code) => {
    const { parent, output } = parentOf(`
      let count = 0;
      process.on('${signal}', () => {
        count++;
        // What a training does: end the step, save, and only then exit.
        setTimeout(() => { console.log('saved after ' + count); process.exit(${code}); }, 300);
      });
      setTimeout(() => {}, 20_000);
      console.log('ready');`);
    await until(() => output().includes('ready'));
    parent.kill(signal);
    expect((await once(parent, 'close'))[0]).toBe(code);
    expect(output()).toBe('ready\nsaved after 1\n');
  });
});
