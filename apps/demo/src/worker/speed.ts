/** Steps and examples a second, over the last seconds. */
export interface Speed {
  add(examples: number): void;
  read(): { readonly steps: number; readonly examples: number } | null;
  clear(): void;
}

const WINDOW = 3000;

export function createSpeed(now: () => number = () => performance.now()): Speed {
  let marks: { readonly time: number; readonly examples: number }[] = [];
  return {
    add(examples) {
      const time = now();
      marks.push({ time, examples });
      // Of fast networks a few thousand marks; of slow ones at least two.
      if (marks.length > 2 && marks[0].time < time - 2 * WINDOW)
        marks = marks.filter((mark, i) => mark.time >= time - WINDOW || i >= marks.length - 2);
    },
    read() {
      const last = marks.at(-1);
      const recent = marks.filter(
        (mark, i) => last && (mark.time >= last.time - WINDOW || i >= marks.length - 2),
      );
      const span = last && recent.length > 1 ? (last.time - recent[0].time) / 1000 : 0;
      if (span <= 0) return null;
      // The first mark begins the span: its step lies before it.
      const examples = recent.slice(1).reduce((sum, mark) => sum + mark.examples, 0);
      return { steps: (recent.length - 1) / span, examples: examples / span };
    },
    clear() {
      marks = [];
    },
  };
}
