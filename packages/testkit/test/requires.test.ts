import { afterEach, describe, expect, it, vi } from 'vitest';
import { requires } from '../src/requires.js';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe('requires', () => {
  it('finds what is there', () => {
    vi.stubEnv('TENON_REQUIRE_ALL', '1');
    expect(requires('/usr/bin/chromium', 'Chromium')).toBe(true);
    expect(requires(true, 'a GPU')).toBe(true);
  });

  it('skips, and says so, where nothing is required', () => {
    vi.stubEnv('TENON_REQUIRE_ALL', undefined);
    const warn = vi.spyOn(console, 'warn').mockReturnValue();
    for (const missing of [undefined, null, false, '']) {
      expect(requires(missing, 'Chromium')).toBe(false);
    }
    expect(warn).toHaveBeenCalledWith('Skipped: needs Chromium.');
  });

  it('throws where all is required', () => {
    vi.stubEnv('TENON_REQUIRE_ALL', '1');
    expect(() => requires(undefined, 'Chromium')).toThrow(/needs Chromium.*may not be skipped/);
  });
});
