/** The builds in the cache: their names, and which of them is used. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BINDING, type BuildRecord, type CurrentRecord, type Flavour, PACKAGE_VERSION } from '../cache.js';
import { discard, namesIn, readJson, settle, type Work, writeWhole } from './work.js';

/** Part of a build's key: raise it with every change to what is built, so that older builds aren't used. */
const RECIPE = 1;

/** Written last into a build that is whole. */
export const BUILD_RECORD = 'build.json';

/** What a build's name says. */
export interface KeyParts {
  readonly flavour: Flavour;
  readonly tensorflow: string;
  readonly platform: string;
  readonly architecture: string;
  /** The folder of a given libtensorflow; none for one in the cache. */
  readonly given?: string;
}

/** `cpu-tensorflow-2.21.0-tfjs-4.22.0-linux-x64-r1`: equal keys, equal builds. */
export function buildKey({ flavour, tensorflow, platform, architecture, given }: KeyParts): string {
  const parts = [
    flavour,
    'tensorflow',
    tensorflow,
    'tfjs',
    PACKAGE_VERSION,
    platform,
    architecture,
    `r${RECIPE}`,
  ];
  // Libraries elsewhere are found by their path.
  if (given !== undefined) parts.push(createHash('sha256').update(given).digest('hex').slice(0, 8));
  return parts.join('-').replace(/[^\w.-]/g, '_');
}

export interface FoundBuild {
  readonly folder: string;
  /** The folder's name. */
  readonly name: string;
  readonly record: BuildRecord;
}

/** The builds in the cache that are whole, the oldest of a key first. */
export function buildsIn(cache: string): FoundBuild[] {
  return namesIn(join(cache, 'builds')).flatMap((name) => {
    const folder = join(cache, 'builds', name);
    const record = recordIn(folder);
    return record ? [{ folder, name, record }] : [];
  });
}

/** What a build was made of; undefined where it isn't whole. */
function recordIn(folder: string): BuildRecord | undefined {
  const record = readJson(join(folder, BUILD_RECORD));
  if (record?.format !== 1 || !existsSync(join(folder, BINDING))) return undefined;
  return record as unknown as BuildRecord;
}

/** The latest build of a key. */
export function findBuild(cache: string, key: string): FoundBuild | undefined {
  return ofKey(cache, key).at(-1);
}

/** A key's builds, the latest last: one that was built again has a number, as a folder can't take another one's place. */
function ofKey(cache: string, key: string): FoundBuild[] {
  return buildsIn(cache)
    .filter(({ name }) => keyOf(name) === key)
    .sort((a, b) => numberOf(a.name) - numberOf(b.name));
}

/** The key in a build's name. */
export function keyOf(name: string): string {
  return name.replace(/~\d+$/, '');
}

function numberOf(name: string): number {
  return Number(/~(\d+)$/.exec(name)?.[1] ?? 0);
}

/**
 * Moves a whole build to its place and returns its name there. It replaces one of the same key that was there `before`; one
 * that another set-up has made meanwhile stays, and is as good.
 */
export async function settleBuild(
  folder: string,
  key: string,
  before: readonly string[],
  work: Work,
): Promise<string> {
  const last = findBuild(work.cache, key);
  if (last && !before.includes(last.name)) return last.name;
  // A folder that is no whole build, since somebody has removed a part of it, has its name still.
  const taken = namesIn(join(work.cache, 'builds')).filter((name) => keyOf(name) === key);
  const name = taken.length === 0 ? key : `${key}~${Math.max(...taken.map(numberOf)) + 1}`;
  await settle(folder, join(work.cache, 'builds', name), (at) => recordIn(at) !== undefined, work);
  return name;
}

/** Says which build is used. */
export async function useBuild(name: string, work: Work): Promise<void> {
  const current: CurrentRecord = { format: 1, build: name };
  await writeWhole(work, join(work.cache, 'current.json'), current);
}

/** Removes the builds that the used one took the place of; for when no other set-up works. */
export async function removeSuperseded(work: Work): Promise<void> {
  const used = String(readJson(join(work.cache, 'current.json'))?.build ?? '');
  for (const { name, folder } of ofKey(work.cache, keyOf(used))) {
    if (numberOf(name) < numberOf(used)) await discard(folder, work);
  }
}
