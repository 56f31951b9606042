import { describe, expect, test } from 'vitest';
import { compareVersions, isTooOld, wantedVersion } from '../src/node/versions.js';

describe('a wanted version', () => {
  test('of two numbers is any release of them', () => {
    const { specifier, said, accepts } = wantedVersion('2.21');
    expect([specifier, said]).toEqual(['~=2.21.0', '2.21.x']);
    expect(
      ['2.21.0', '2.21.3', '2.21.1+nv25.1', '2.22.0', '2.20.0', '2.21.0rc1', '2.2.1', 'x'].filter(accepts),
    ).toEqual(['2.21.0', '2.21.3', '2.21.1+nv25.1']);
  });

  test.each(['2.21.0', '2.22.0rc1'])('of three is that one alone: %s', (version) => {
    const { specifier, said, accepts } = wantedVersion(version);
    expect([specifier, said]).toEqual([`==${version}`, version]);
    expect(accepts(version)).toBe(true);
    expect(accepts('2.21.1')).toBe(false);
  });

  test.each(['2.15.0', '2.20', '1.15.0'])('%s is too old', (version) => {
    expect(() => wantedVersion(version)).toThrow(
      `--tensorflow: expected TensorFlow 2.21 or newer, got ${version}. Leave --tensorflow out for 2.21.x, which was tested.`,
    );
  });

  test.each(['', 'newest', '2', '>=2.21', '2.21.0; rm'])("'%s' is none", (text) => {
    expect(() => wantedVersion(text)).toThrow(
      /--tensorflow: expected a version such as 2\.21 or 2\.21\.0, got/,
    );
  });
});

test('versions are sorted by their numbers, a candidate before its release', () => {
  expect(['2.21.10', '2.21.9', '2.22.0', '2.22.0rc1', '2.21.9+a'].sort(compareVersions)).toEqual([
    '2.21.9',
    '2.21.9+a',
    '2.21.10',
    '2.22.0rc1',
    '2.22.0',
  ]);
});

test('3.0 and what cannot be read are not too old', () => {
  expect(['2.20.9', '2.21.0', '3.0.0', 'unknown'].map(isTooOld)).toEqual([true, false, false, false]);
});
