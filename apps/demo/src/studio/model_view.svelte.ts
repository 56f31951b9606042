import type { PlainError } from '../worker/protocol.js';
import type { SubjectInfo } from '../worker/protocol_subject.js';
import type { Studio } from './studio.svelte.js';
import { type OpenWorker, openWorker } from './workers.js';

/** The model that the section "Understanding" asks: that of the run, or one opened from files. */
export class ModelView {
  info = $state.raw<SubjectInfo | null>(null);
  /** The name of a model from files; null while the run's is asked. */
  name = $state<string | null>(null);
  error = $state.raw<PlainError | null>(null);
  private worker: OpenWorker | null = null;
  private readonly studio: Studio;

  constructor(studio: Studio) {
    this.studio = studio;
  }

  /** Whoever answers; null where there is nothing to ask. */
  get api(): OpenWorker['api']['subject'] | null {
    return (this.name !== null ? this.worker : this.studio.run?.worker)?.api.subject ?? null;
  }

  /** Opens a saved model from its files. Throws what reading it throws; the one before stays open then. */
  async openFiles(name: string, files: readonly (readonly [string, Uint8Array])[]): Promise<void> {
    const worker = openWorker();
    try {
      this.info = await worker.api.subject.openFiles(name, files, this.studio.backend);
    } catch (error) {
      worker.close();
      throw error;
    }
    this.worker?.close();
    this.worker = worker;
    this.name = name;
  }

  /** Asks the run's model again. */
  closeFiles(): void {
    this.close();
    this.info = null;
    void this.studio.messages.trying(() => this.refresh());
  }

  /** What the model is now. A finished run that lies in the storage is opened for it. */
  async refresh(): Promise<void> {
    const { run } = this.studio;
    if (this.name === null && run && !run.worker && run.position.step > 0 && run.report) {
      run.worker = openWorker();
      this.info = await run.worker.api.subject.openRun(run.id, run.origin);
      return;
    }
    const hasModel = this.name !== null || (run !== null && run.position.step > 0);
    this.info = hasModel ? ((await this.api?.info()) ?? null) : null;
  }

  close(): void {
    this.worker?.close();
    this.worker = null;
    this.name = null;
  }
}
