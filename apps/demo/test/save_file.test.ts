import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileName } from '../src/take_home/save_file.js';

describe('fileName', () => {
  it.each([
    ['digits-cnn', 'digits-cnn'],
    ['My run: 2/3', 'My-run-2-3'],
    ['数字 网络', '数字-网络'],
    ['../../etc/passwd', 'etc-passwd'],
    ['.hidden.', 'hidden'],
    ['v1.2', 'v1.2'],
    ['???', 'model'],
    ['', 'model'],
  ])('of %j is %j', (name, file) => {
    expect(fileName(name)).toBe(file);
  });

  it('holds nothing that a system minds, and stays as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        const file = fileName(name);
        expect(file).toMatch(/^[\p{L}\p{N}]([\p{L}\p{N}.-]*[\p{L}\p{N}])?$/u);
        expect(fileName(file)).toBe(file);
      }),
    );
  });
});
