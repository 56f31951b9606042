/** What the scripts of the repository share: paths, and running a command. Node's own modules only. */
import './node-version.mjs';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, join } from 'node:path';

export const root = join(import.meta.dirname, '..');

/** The version of pnpm that `packageManager` names; it is the only place that does. */
export const pnpm = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager;

/** The environment of the tools: their binaries come first, none reports usage, none updates itself. */
export function toolEnvironment() {
  return {
    ...process.env,
    PATH: [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter),
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    TURBO_NO_UPDATE_NOTIFIER: '1',
  };
}

/**
 * Runs a command and gives its exit code (128 + n for signal n). `output` says where its stdout goes:
 * 'inherit', 'stderr' (ours), or 'collect' (given as `stdout`, and with
 * stderr as `text`).
 *
 * Ctrl-C in a terminal reaches the child by itself, so there we only wait; without a terminal (a supervisor,
 * a test) we pass the signal on. Either way the child gets it once, and we end when it has ended.
 */
export function run(command, args, { cwd = root, env = toolEnvironment(), output = 'inherit' } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = {
      inherit: 'inherit',
      stderr: ['inherit', 2, 2],
      collect: ['ignore', 'pipe', 'pipe'],
    }[output];
    const child = spawn(command, args, { cwd, env, stdio, shell: process.platform === 'win32' });
    const text = [];
    const stdout = [];
    child.stdout?.on('data', (chunk) => {
      text.push(chunk);
      stdout.push(chunk);
    });
    child.stderr?.on('data', (chunk) => text.push(chunk));
    const interrupt = () => {
      if (!hasTerminal()) child.kill('SIGINT');
    };
    const terminate = () => child.kill('SIGTERM');
    process.on('SIGINT', interrupt);
    process.on('SIGTERM', terminate);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', terminate);
      resolve({
        code: code ?? 128 + constants.signals[signal],
        stdout: Buffer.concat(stdout).toString(),
        text: Buffer.concat(text).toString(),
      });
    });
  });
}

/** Whether a terminal controls this process (its streams may still go elsewhere). */
function hasTerminal() {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** The folders of the members of the workspace that are published, with their manifests, in order of name. */
export function publishedPackages() {
  return ['packages', 'apps']
    .flatMap((group) =>
      readdirSync(join(root, group), { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => `${group}/${entry.name}`),
    )
    .flatMap((folder) => {
      const manifest = readManifest(folder);
      return manifest === undefined || manifest.private ? [] : [{ folder, manifest }];
    });
}

/** The package.json of a folder of the repository, or undefined where there is none. */
export function readManifest(folder) {
  try {
    return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}
