import { describe, expect, it } from 'vitest';
import { createSpeed } from '../src/worker/speed.js';

/** A clock that the test sets. */
function timed() {
  const clock = { time: 0 };
  return { clock, speed: createSpeed(() => clock.time) };
}

describe('createSpeed', () => {
  it('is not known before the second step, nor after a pause', () => {
    const { clock, speed } = timed();
    expect(speed.read()).toBeNull();
    speed.add(32);
    expect(speed.read()).toBeNull();
    clock.time = 500;
    speed.add(32);
    expect(speed.read()).toEqual({ steps: 2, examples: 64 });
    speed.clear();
    expect(speed.read()).toBeNull();
  });

  it('is that of the last three seconds', () => {
    const { clock, speed } = timed();
    // A slow beginning, then ten steps a second.
    for (let i = 0; i < 10; i++) {
      clock.time += 1000;
      speed.add(1);
    }
    for (let i = 0; i < 100; i++) {
      clock.time += 100;
      speed.add(8);
    }
    const read = speed.read();
    expect(read?.steps).toBeCloseTo(10, 6);
    expect(read?.examples).toBeCloseTo(80, 6);
  });

  it('tells of steps that take longer than that', () => {
    const { clock, speed } = timed();
    for (let i = 0; i < 5; i++) {
      clock.time += 20_000;
      speed.add(64);
    }
    expect(speed.read()).toEqual({ steps: 0.05, examples: 3.2 });
  });

  it('is not known where the clock stands still', () => {
    const { speed } = timed();
    speed.add(1);
    speed.add(1);
    expect(speed.read()).toBeNull();
  });
});
