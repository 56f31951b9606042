/** The names of wheels: what they hold and for which machines, before any is opened. */
import { compareVersions, type WantedVersion } from './versions.js';

/** A wheel, by its name: `tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl`. */
export interface WheelName {
  readonly file: string;
  /** With hyphens, in lower case: `tensorflow-cpu`. */
  readonly project: string;
  readonly version: string;
  /** `cp311`, `py3` … */
  readonly pythons: readonly string[];
  /** `manylinux_2_27_x86_64` … */
  readonly platforms: readonly string[];
}

/** What a machine runs. */
export interface WheelTarget {
  /** Of Node: `x64` or `arm64`. */
  readonly architecture: string;
  /** The C library's, `2.36`; undefined where it is unknown. */
  readonly glibc: string | undefined;
}

/** Undefined for what is no name of a wheel. */
export function parseWheelName(file: string): WheelName | undefined {
  if (!file.endsWith('.whl')) return undefined;
  const parts = file.slice(0, -'.whl'.length).split('-');
  if (parts.length < 5 || parts.length > 6) return undefined;
  const [project, version] = parts;
  const [python, , platform] = parts.slice(-3);
  return {
    file,
    project: normalProject(project),
    version: version.replaceAll('_', '+'),
    pythons: python.split('.'),
    platforms: platform.split('.'),
  };
}

/** Names of projects are compared without regard to case, and to which of `-`, `_` and `.` stands between words. */
export function normalProject(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

/** What the platforms of wheels end with. */
export function machineOf(architecture: string): string {
  return { x64: 'x86_64', arm64: 'aarch64' }[architecture] ?? architecture;
}

/**
 * The tags of platforms that a machine takes: those of Linux with a C library as old as its own, or older. For pip's
 * `--platform`, which takes each for itself alone.
 */
export function platformTags({ architecture, glibc }: WheelTarget): string[] {
  const machine = machineOf(architecture);
  const newest = glibcMinor(glibc);
  const tags: string[] = [];
  for (let minor = newest; minor >= 17; minor--) tags.push(`manylinux_2_${minor}_${machine}`);
  return [...tags, `manylinux2014_${machine}`, `linux_${machine}`];
}

/** The newest wheel of a project in the wanted version for this machine; for any Python, as only its libraries are used. */
export function chooseWheel(
  wheels: readonly WheelName[],
  project: string,
  version: WantedVersion,
  target: WheelTarget,
): WheelName | undefined {
  return wheels
    .filter((wheel) => faultOf(wheel, project, version, target) === undefined)
    .sort((a, b) => compareVersions(b.version, a.version))[0];
}

/** Why none of the wheels will do, as what was got: `tensorflow_cpu-….whl, which is for aarch64`. */
export function describeFaults(
  wheels: readonly WheelName[],
  project: string,
  version: WantedVersion,
  target: WheelTarget,
): string {
  const near = wheels.filter((wheel) => wheel.project.startsWith('tensorflow'));
  if (near.length === 0) return wheels.length === 0 ? 'no wheel at all' : 'wheels of other packages';
  const described = near
    .slice(0, 3)
    .map((wheel) => `${wheel.file}, which ${faultOf(wheel, project, version, target)}`);
  if (near.length > 3) described.push(`${near.length - 3} more`);
  return described.join('; ');
}

function faultOf(
  { project, version, platforms }: WheelName,
  wantedProject: string,
  wanted: WantedVersion,
  target: WheelTarget,
): string | undefined {
  if (project !== wantedProject) {
    if (project === 'tensorflow') return 'is the one for GPUs (--device gpu takes it)';
    if (project === 'tensorflow-cpu') return 'has no GPU in it (--device cpu takes it)';
    return `is not ${wantedProject}`;
  }
  const machine = machineOf(target.architecture);
  const ours = platforms.filter((platform) => platform.endsWith(`_${machine}`));
  if (ours.length === 0) return `is for ${platforms.join(' and ')}, while this is Linux on ${machine}`;
  const tags = platformTags(target);
  if (!ours.some((platform) => tags.includes(platform) || platform === `manylinux2010_${machine}`)) {
    return `is for ${ours.join(' and ')}, while this machine's C library is glibc ${target.glibc ?? 'of an unknown version'}`;
  }
  return wanted.accepts(version) ? undefined : `is version ${version}`;
}

/** The 36 of glibc 2.36; where it is unknown, as much as any wheel asks for today. */
function glibcMinor(glibc: string | undefined): number {
  const minor = Number(/^2\.(\d+)/.exec(glibc ?? '')?.[1]);
  return Number.isFinite(minor) ? minor : 35;
}

/** The packages of an extra in a wheel's METADATA, as pip takes them: `nvidia-cublas-cu12<13.0,>=12.5.3.2`. */
export function extraRequirements(metadata: string, extra: string): string[] {
  const marker = new RegExp(
    `(?:\\s+and)?\\s*\\(?\\s*extra\\s*==\\s*["']${extra}["']\\s*\\)?(?:\\s*and\\s+)?`,
  );
  return headerLines(metadata, 'Requires-Dist')
    .filter((line) => marker.test(line.split(';')[1] ?? ''))
    .map((line) => {
      const [requirement, condition] = line.split(';');
      const rest = condition.replace(marker, '').trim();
      return rest === '' ? requirement.trim() : `${requirement.trim()}; ${rest}`;
    });
}

/** A header of METADATA, such as its `Version`. */
export function metadataHeader(metadata: string, name: string): string | undefined {
  return headerLines(metadata, name)[0];
}

function headerLines(metadata: string, name: string): string[] {
  // The description begins behind an empty line.
  const [head] = metadata.replaceAll('\r\n', '\n').split('\n\n');
  return head
    .split('\n')
    .filter((line) => line.startsWith(`${name}: `))
    .map((line) => line.slice(name.length + 2).trim());
}
