import type { DataLook } from '../worker/desk.js';
import type { Studio } from './studio.svelte.js';

/** The data of the experiment, as the section "Data" shows it. */
export class DataState {
  look = $state.raw<DataLook | null>(null);
  busy = $state(false);
  private readonly studio: Studio;

  constructor(studio: Studio) {
    this.studio = studio;
  }

  /** Looks at the document's data; there is nothing to see where its files aren't here. */
  async refresh(): Promise<void> {
    const { document, dataId, desk, messages } = this.studio;
    this.look = null;
    if (!document || (document.data.source !== 'digits' && dataId === null)) return;
    this.busy = true;
    try {
      this.look = await desk.look(document.data, dataId);
    } catch (error) {
      messages.fail(error);
    } finally {
      this.busy = false;
    }
  }

  async drop(_transfer: DataTransfer): Promise<void> {}

  async take(_files: readonly File[]): Promise<void> {}
}
