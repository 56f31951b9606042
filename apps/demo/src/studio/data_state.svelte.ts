import type { DataSpec, ExperimentDocument } from '@tenon-ml/experiment';
import { proxy } from 'comlink';
import { noteText } from '../data/notes.js';
import { filesOf, pathOf } from '../import/dropped_files.js';
import type { ImportNote, ImportProgress } from '../import/import_files.js';
import { renaming } from '../worker/calls.js';
import type { DataLook, ImportResult, PictureSize } from '../worker/desk_data.js';
import { dataLock } from '../worker/locks.js';
import { holdShared } from './hold.js';
import { keepChoices } from './keep_choices.js';
import { OwnPictures } from './own_pictures.svelte.js';
import type { Studio } from './studio.svelte.js';

/** What a person can choose to learn from. */
export const sourceKinds = ['digits', 'cifar10', 'pictures', 'csv', 'text', 'own'] as const;
export type SourceKind = (typeof sourceKinds)[number];

/** The data of the experiment, as the section "Data" shows it. */
export class DataState {
  look = $state.raw<DataLook | null>(null);
  busy = $state(false);
  /** The source whose choices are shown; the data in use may be another. */
  source = $state<SourceKind>('digits');
  /** How far the import is that is under way. */
  importing = $state.raw<(ImportProgress & { readonly name: string }) | null>(null);
  /** What there is to know of the last import. */
  imported = $state.raw<{
    readonly name: string;
    readonly examples: number;
    readonly notes: readonly ImportNote[];
  } | null>(null);
  /** What the digits have taken the place of, to go back to. */
  before = $state.raw<{ readonly document: ExperimentDocument; readonly dataId: string } | null>(null);
  /** What pictures from folders become. */
  size = $state.raw<PictureSize>({ side: 32, channels: 3 });
  readonly own = new OwnPictures();
  /** The data that came from one's own pictures. */
  private ownId = $state<string | null>(null);
  private readonly studio: Studio;
  private turn = 0;
  private looked: string | null = null;
  private release = (): void => {};

  constructor(studio: Studio) {
    this.studio = studio;
  }

  /** The source of the document's data. */
  get used(): SourceKind | null {
    const { document, dataId } = this.studio;
    if (!document) return null;
    if (document.data.source !== 'arrays') return document.data.source;
    return dataId !== null && dataId === this.ownId ? 'own' : 'pictures';
  }

  /** Looks at the document's data; there is nothing to see where its files aren't here. */
  async refresh(): Promise<void> {
    const { document, dataId, desk, messages } = this.studio;
    const turn = ++this.turn;
    const which = document && `${document.data.source} ${dataId}`;
    // The same data in another way: what was seen stays until the new is there, and the fields with it.
    if (which !== this.looked) this.look = null;
    this.looked = which;
    if (this.used) this.source = this.used;
    if (!document || (document.data.source !== 'digits' && dataId === null)) {
      this.busy = false;
      return;
    }
    this.busy = true;
    try {
      const look = await desk.look(document.data, dataId);
      if (turn === this.turn) this.look = look;
    } catch (error) {
      if (turn === this.turn) this.look = null;
      messages.fail(error);
    } finally {
      if (turn === this.turn) this.busy = false;
    }
  }

  /** Keeps other tabs from removing the data that is open here. */
  hold(dataId: string | null): void {
    const release = this.release;
    this.release = dataId === null ? () => {} : holdShared(dataLock(dataId));
    release();
  }

  async choose(source: SourceKind): Promise<void> {
    // What the page opens at first shows its own source.
    await this.studio.ready;
    this.source = source;
    const { document, dataId } = this.studio;
    if (source !== 'digits' || !document || document.data.source === 'digits') return;
    const before = dataId === null ? null : { document, dataId };
    await this.studio.useData({ source: 'digits' }, null);
    this.before = before;
    this.imported = null;
  }

  /** Opens again what the digits have taken the place of. */
  async goBack(): Promise<void> {
    const { before } = this;
    if (!before) return;
    this.before = null;
    await this.studio.open(before.document, before.dataId);
  }

  async drop(transfer: DataTransfer): Promise<void> {
    if (!transfer.types.includes('Files')) return;
    await this.take(await renaming({ INVALID_ARGUMENT: 'TOO_LARGE' }, () => filesOf(transfer)));
  }

  /** Brings files in. Throws what reading them throws; what is open stays so then. */
  async take(files: readonly File[]): Promise<void> {
    const { desk, messages, language } = this.studio;
    if (this.importing) {
      messages.tell(language.t.data.oneAtATime);
      return;
    }
    const id = newDataId();
    const release = holdShared(dataLock(id));
    const name = files.length === 1 ? files[0].name : language.t.data.files(language.count(files.length));
    this.importing = { name, done: 0, total: 0 };
    try {
      const onProgress = proxy((progress: ImportProgress) => {
        if (this.importing) this.importing = { ...progress, name };
      });
      const paths = files.map(pathOf);
      await this.open(await desk.importFiles([...files], paths, id, this.size, onProgress), id);
    } finally {
      this.importing = null;
      release();
    }
  }

  cancel(): void {
    void this.studio.desk.cancelImport();
  }

  /** A part of Shakespeare's plays, fetched now. */
  async takeSample(): Promise<void> {
    const response = await fetch('./plays.txt');
    if (!response.ok) throw new Error(`plays.txt: ${response.status} ${response.statusText}`);
    await this.take([new File([await response.blob()], 'Shakespeare.txt')]);
  }

  /** Learns from the pictures that the person has made. */
  async useOwn(): Promise<void> {
    const { desk } = this.studio;
    const { classes, side, channels } = this.own;
    const id = newDataId();
    const release = holdShared(dataLock(id));
    try {
      const named = classes.map(({ name, pictures }) => ({
        name: name.trim(),
        pictures: pictures.map(({ picture }) => picture),
      }));
      const { data, examples } = await desk.makeData(named, { side, channels }, id);
      this.ownId = id;
      await this.use(data, id);
      // A shifted drawing would have a black edge on its white paper.
      if (channels === 1) this.studio.edit({ augmentation: { flip: false, shift: 0 } });
      this.imported = { name: this.studio.language.t.data.sources.own.name, examples, notes: [] };
    } finally {
      release();
    }
  }

  private async open(result: ImportResult, id: string): Promise<void> {
    const { studio } = this;
    const t = studio.language.t.data;
    switch (result.kind) {
      case 'cancelled':
        studio.messages.tell(t.cancelled);
        return;
      case 'data': {
        const { name, examples, notes, columns } = result;
        const before = studio.document?.data;
        await this.use(before ? keepChoices(before, result.data, columns) : result.data, id);
        this.imported = { name, examples, notes };
        studio.go('data');
        return;
      }
      case 'model':
        await studio.model.openFiles(result.name, result.files);
        for (const note of result.notes) studio.messages.tell(noteText(t, note));
        studio.go('understanding');
        return;
      case 'document': {
        // Its data may be what is open here.
        const here = studio.document?.data;
        const same = here && JSON.stringify(fileOf(here)) === JSON.stringify(fileOf(result.document.data));
        await studio.open(result.document, same ? studio.dataId : null);
        this.imported = null;
        for (const note of result.notes) studio.messages.tell(noteText(t, note));
        studio.messages.tell(studio.language.t.takeHome.loadedExperiment(result.document.name));
        studio.go('data');
      }
    }
  }

  /** From now on this data, and the room of what nothing refers to any more. */
  private async use(data: DataSpec, id: string): Promise<void> {
    try {
      await this.studio.useData(data, id);
    } finally {
      this.before = null;
      await this.studio.desk.removeUnused(this.studio.usedData());
    }
  }
}

/** The files that data is read from. */
function fileOf(data: DataSpec): readonly unknown[] {
  return [data.source, 'file' in data ? data.file : null, 'classNames' in data ? data.classNames : null];
}

function newDataId(): string {
  return `${Date.now().toString(36)}-${Math.floor(performance.now()).toString(36)}`;
}
