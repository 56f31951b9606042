/** Where a layer that is dragged would go: among the items of its list, counted with itself. */
export interface Drag {
  readonly key: string;
  readonly to: number;
}

/** The pointer this near to an edge of the window, in pixels, scrolls it. */
const EDGE = 60;

/**
 * Dragging an item within a list by mouse, pen or finger. `items` are the places of the items that it may stand among, in
 * order; `drop` is told where it was let go. Escape leaves it where it was.
 */
export class Dragging {
  current = $state.raw<Drag | null>(null);

  begin(event: PointerEvent, key: string, items: () => readonly Element[], drop: (to: number) => void): void {
    if (event.button !== 0) return;
    event.preventDefault();
    const grip = event.currentTarget as HTMLElement;
    const { pointerId } = event;
    grip.setPointerCapture(pointerId);
    const over = new AbortController();
    const { signal } = over;
    const end = (): void => {
      over.abort();
      this.current = null;
    };
    const move = ({ clientY }: PointerEvent): void => {
      if (clientY < EDGE) scrollBy(0, -12);
      else if (clientY > innerHeight - EDGE) scrollBy(0, 12);
      const middles = items().map((item) => {
        const { top, height } = item.getBoundingClientRect();
        return top + height / 2;
      });
      this.current = { key, to: middles.filter((middle) => middle < clientY).length };
    };
    grip.addEventListener('pointermove', move, { signal });
    grip.addEventListener(
      'pointerup',
      () => {
        const to = this.current?.to;
        end();
        if (to !== undefined) drop(to);
      },
      { signal },
    );
    grip.addEventListener('pointercancel', end, { signal });
    addEventListener('keydown', ({ key: pressed }) => pressed === 'Escape' && end(), { signal });
  }
}
