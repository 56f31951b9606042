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
  private turn = 0;

  constructor(studio: Studio) {
    this.studio = studio;
  }

  /** Whoever answers; null where there is nothing to ask. */
  get api(): OpenWorker['api']['subject'] | null {
    return (this.name !== null ? this.worker : this.studio.run?.worker)?.api.subject ?? null;
  }

  /** Opens a saved model from its files. Throws what reading it throws; the one before stays open then. */
  async openFiles(name: string, files: readonly (readonly [string, Uint8Array])[]): Promise<void> {
    const worker = openWorker((error) => this.studio.messages.fail(error));
    try {
      this.info = await worker.api.subject.openFiles(name, files, this.studio.chosenBackend);
    } catch (error) {
      worker.close();
      throw error;
    }
    this.turn++;
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

  /** What the model is now; what is answered after another question is not taken over. */
  async refresh(): Promise<void> {
    const turn = ++this.turn;
    let info: SubjectInfo | null = null;
    try {
      info = await this.ask();
    } finally {
      if (turn === this.turn) this.info = info;
    }
  }

  /** Null where there is nothing to ask. A finished run that lies in the storage is opened for it. */
  private async ask(): Promise<SubjectInfo | null> {
    if (this.name !== null) return (await this.worker?.api.subject.info()) ?? null;
    const { run } = this.studio;
    if (!run || run.position.step === 0) return null;
    if (run.worker) {
      const silent = run.status === 'starting' || run.status === 'failed';
      return silent ? null : run.worker.api.subject.info();
    }
    if (!run.report) return null;
    const worker = openWorker((error) => this.studio.messages.fail(error));
    run.worker = worker;
    try {
      return await worker.api.subject.openRun(run.id, run.origin);
    } catch (error) {
      worker.close();
      if (run.worker === worker) run.worker = null;
      throw error;
    }
  }

  close(): void {
    this.worker?.close();
    this.worker = null;
    this.name = null;
  }
}
