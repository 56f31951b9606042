import { describe, expect, test } from 'vitest';
import { wantedVersion } from '../src/node/versions.js';
import {
  chooseWheel,
  describeFaults,
  extraRequirements,
  metadataHeader,
  parseWheelName,
  platformTags,
  type WheelName,
} from '../src/node/wheels.js';

const debian = { architecture: 'x64', glibc: '2.36' };
const wanted = wantedVersion('2.21');
const named = (...files: string[]): WheelName[] => files.flatMap((file) => parseWheelName(file) ?? []);
const choose = (...files: string[]) => chooseWheel(named(...files), 'tensorflow-cpu', wanted, debian)?.file;
const faults = (...files: string[]) => describeFaults(named(...files), 'tensorflow-cpu', wanted, debian);

describe("a wheel's name", () => {
  test('says what it is', () => {
    expect(
      parseWheelName('tensorflow_cpu-2.21.0-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl'),
    ).toMatchObject({
      project: 'tensorflow-cpu',
      version: '2.21.0',
      pythons: ['cp311'],
      platforms: ['manylinux_2_17_x86_64', 'manylinux2014_x86_64'],
    });
  });

  test.each(['tensorflow-2.21.0.tar.gz', 'tensorflow.whl', 'a-1-b-c-d-e-f.whl'])('%s is none', (file) => {
    expect(parseWheelName(file)).toBeUndefined();
  });
});

describe('of several wheels', () => {
  const good = 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl';

  test('the newest that this machine takes is chosen, for any Python', () => {
    const newer = 'tensorflow_cpu-2.21.10-cp313-cp313-manylinux_2_27_x86_64.whl';
    const others = [
      'tensorflow_cpu-2.22.0-cp311-cp311-manylinux_2_27_x86_64.whl',
      'tensorflow_cpu-2.21.11-cp311-cp311-manylinux_2_27_aarch64.whl',
      'tensorflow_cpu-2.21.12-cp311-cp311-win_amd64.whl',
      'tensorflow_cpu-2.21.13-cp311-cp311-manylinux_2_39_x86_64.whl',
      'tensorflow-2.21.14-cp311-cp311-manylinux_2_27_x86_64.whl',
    ];
    expect(choose(good, newer, ...others)).toBe(newer);
    expect(choose(...others)).toBeUndefined();
  });

  test.each([
    [
      'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_17_aarch64.whl',
      'is for manylinux_2_17_aarch64, while this is Linux on x86_64',
    ],
    ['tensorflow_cpu-2.15.0-cp311-cp311-manylinux_2_17_x86_64.whl', 'is version 2.15.0'],
    [
      'tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
      'is the one for GPUs (--device gpu takes it)',
    ],
    [
      'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_39_x86_64.whl',
      "is for manylinux_2_39_x86_64, while this machine's C library is glibc 2.36",
    ],
    ['tensorflow_estimator-2.15.0-py3-none-any.whl', 'is not tensorflow-cpu'],
  ])('%s will not do, and why', (file, why) => {
    expect(faults(file)).toBe(`${file}, which ${why}`);
  });

  test('none at all, and none of TensorFlow, are told apart', () => {
    expect(faults()).toBe('no wheel at all');
    expect(faults('numpy-2.0.0-cp311-cp311-manylinux_2_27_x86_64.whl')).toBe('wheels of other packages');
  });
});

test('a machine takes the platforms of older C libraries, and of its own kind alone', () => {
  const tags = platformTags({ architecture: 'arm64', glibc: '2.19' });
  expect(tags).toEqual([
    'manylinux_2_19_aarch64',
    'manylinux_2_18_aarch64',
    'manylinux_2_17_aarch64',
    'manylinux2014_aarch64',
    'linux_aarch64',
  ]);
});

describe('METADATA', () => {
  const metadata = [
    'Metadata-Version: 2.4',
    'Name: tensorflow',
    'Version: 2.21.0',
    'Requires-Dist: numpy>=1.26.0',
    'Provides-Extra: and-cuda',
    'Requires-Dist: nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"',
    "Requires-Dist: nvidia-nccl-cu12 (<3.0,>=2.27.7) ; (sys_platform == 'linux') and extra == 'and-cuda'",
    'Requires-Dist: gcs>=0.23.1; (python_version < "3.13") and extra == "gcs-filesystem"',
    '',
    'Requires-Dist: text; extra == "and-cuda"',
  ].join('\n');

  test("names the packages of an extra, with what else they depend on, and not the description's", () => {
    expect(extraRequirements(metadata, 'and-cuda')).toEqual([
      'nvidia-cublas-cu12<13.0,>=12.5.3.2',
      "nvidia-nccl-cu12 (<3.0,>=2.27.7); (sys_platform == 'linux')",
    ]);
  });

  test('has headers', () => {
    expect(metadataHeader(metadata, 'Version')).toBe('2.21.0');
    expect(metadataHeader(metadata, 'License')).toBeUndefined();
  });
});
