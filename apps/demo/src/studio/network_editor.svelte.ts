import type { LayerSpec } from '@tenon-ml/core';
import type { ExperimentDocument } from '@tenon-ml/experiment';
import type { Studio } from './studio.svelte.js';

/** What an edit sets: the network, and what comes with another one. */
export type NetworkChange = Partial<ExperimentDocument> & { readonly network: LayerSpec };

interface Step {
  readonly before: NetworkChange;
  readonly after: NetworkChange;
  /** Edits of one kind that follow each other closely are one step: the digits of a number that is typed. */
  readonly kind: string | null;
  readonly time: number;
}

/** Milliseconds within which edits of a kind belong together. */
const CLOSE = 1500;
const MOST = 200;

/** The edits of the network, which can be taken back. What changes it otherwise (other data, an experiment) begins anew. */
export class NetworkEditor {
  private past = $state.raw<readonly Step[]>([]);
  private future = $state.raw<readonly Step[]>([]);
  private readonly studio: Studio;

  constructor(studio: Studio) {
    this.studio = studio;
  }

  get canUndo(): boolean {
    return this.past.length > 0 && this.past[this.past.length - 1].after.network === this.network;
  }

  get canRedo(): boolean {
    return this.future.length > 0 && this.future[this.future.length - 1].before.network === this.network;
  }

  edit(change: NetworkChange, kind: string | null = null): void {
    const { document } = this.studio;
    if (!document || change.network === document.network) return;
    const names = Object.keys(change) as (keyof ExperimentDocument)[];
    const before = Object.fromEntries(
      names.map((name) => [name, document[name]]),
    ) as unknown as NetworkChange;
    const past = this.canUndo ? this.past : [];
    const last = past.at(-1);
    const time = Date.now();
    const together = last && kind !== null && last.kind === kind && time - last.time < CLOSE;
    this.past = together
      ? [...past.slice(0, -1), { ...last, after: change, time }]
      : [...past.slice(1 - MOST), { before, after: change, kind, time }];
    this.future = [];
    this.studio.edit(change);
  }

  undo(): void {
    const step = this.past.at(-1);
    if (!step || !this.canUndo) return;
    this.past = this.past.slice(0, -1);
    this.future = [...this.future, step];
    this.studio.edit(step.before);
  }

  redo(): void {
    const step = this.future.at(-1);
    if (!step || !this.canRedo) return;
    this.future = this.future.slice(0, -1);
    this.past = [...this.past, step];
    this.studio.edit(step.after);
  }

  private get network(): LayerSpec | undefined {
    return this.studio.document?.network;
  }
}
