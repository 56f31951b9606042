/** Versions of TensorFlow, as far as set-up reads them. */
import { TenonError } from '@tenon-ml/core/errors';

/** What was tested; `--tensorflow` names another one. */
export const STANDARD_TENSORFLOW = '2.21';
/** The oldest that set-up takes: older ones were never tried with the binding. */
const OLDEST = [2, 21] as const;

/** Which versions are wanted. */
export interface WantedVersion {
  /** As pip takes it behind a name: `~=2.21.0`, or `==2.22.1`. */
  readonly specifier: string;
  /** For people: `2.21.x`, or `2.22.1`. */
  readonly said: string;
  accepts(version: string): boolean;
}

interface Version {
  readonly numbers: readonly [number, number, number];
  /** `rc1`, or empty. */
  readonly pre: string;
}

/** `2.21` is any 2.21.x, `2.21.1` or `2.22.0rc1` that version alone. Throws `INVALID_ARGUMENT`. */
export function wantedVersion(text: string): WantedVersion {
  const [, major, minor, patch, pre] = /^(\d+)\.(\d+)(?:\.(\d+)((?:a|b|rc)\d+)?)?$/.exec(text.trim()) ?? [];
  if (major === undefined) {
    throw new TenonError({
      code: 'INVALID_ARGUMENT',
      where: '--tensorflow',
      expected: 'a version such as 2.21 or 2.21.0',
      got: `'${text}'`,
    });
  }
  if (isTooOld(`${major}.${minor}`)) throw tooOld('--tensorflow', text.trim());
  if (patch === undefined) {
    return {
      specifier: `~=${major}.${minor}.0`,
      said: `${major}.${minor}.x`,
      accepts: (version) => {
        const parsed = parse(version);
        return (
          parsed?.pre === '' && parsed.numbers[0] === Number(major) && parsed.numbers[1] === Number(minor)
        );
      },
    };
  }
  const exact = `${major}.${minor}.${patch}${pre ?? ''}`;
  return { specifier: `==${exact}`, said: exact, accepts: (version) => withoutLocal(version) === exact };
}

/** Whether a version is older than what set-up takes; one that can't be read isn't. */
export function isTooOld(version: string): boolean {
  const [major, minor] = version.split('.').map(Number);
  return major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
}

/** The error for a TensorFlow that is too old; `where` names the flag or the folder that it came from. */
export function tooOld(where: string, version: string): TenonError {
  const oldest = OLDEST.join('.');
  return new TenonError({
    code: 'INVALID_ARGUMENT',
    where,
    expected: `TensorFlow ${oldest} or newer`,
    got: version,
    hint: `Leave --tensorflow out for ${STANDARD_TENSORFLOW}.x, which was tested.`,
  });
}

/** For sorting, the oldest first. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  if (!left || !right) return a < b ? -1 : Number(a > b);
  for (let i = 0; i < 3; i++) {
    if (left.numbers[i] !== right.numbers[i]) return left.numbers[i] - right.numbers[i];
  }
  // A release candidate comes before its release.
  if (left.pre === right.pre) return 0;
  if (left.pre === '' || right.pre === '') return left.pre === '' ? 1 : -1;
  return left.pre < right.pre ? -1 : 1;
}

function parse(version: string): Version | undefined {
  const [, major, minor, patch = '0', pre = ''] =
    /^(\d+)\.(\d+)(?:\.(\d+))?((?:a|b|rc)\d+)?$/.exec(withoutLocal(version)) ?? [];
  return major === undefined ? undefined : { numbers: [Number(major), Number(minor), Number(patch)], pre };
}

/** Without what a builder adds: `2.21.0+nv25.1`. */
function withoutLocal(version: string): string {
  return version.split('+')[0];
}
