import type { TensorSpec } from '@tenon-ml/core';
import type { DataSpec, ExperimentDocument, Preset, TrainingSpec } from '@tenon-ml/experiment';
import { LanguageChoice, recall, remember } from '../i18n/language.svelte.js';
import type { NetworkTable } from '../worker/desk.js';
import type { BackendChoice, BackendName, StoredRun } from '../worker/protocol.js';
import { DataState } from './data_state.svelte.js';
import { Messages } from './messages.svelte.js';
import { ModelView } from './model_view.svelte.js';
import { NetworkEditor } from './network_editor.svelte.js';
import { RunView } from './run_view.svelte.js';
import { type Section, sectionOf } from './sections.js';
import { ThemeChoice } from './theme.svelte.js';
import { type OpenWorker, openWorker } from './workers.js';

const kept = 'tenon-experiment';

/** What was open when the page was left. */
interface Kept {
  readonly document: ExperimentDocument;
  readonly dataId: string | null;
  readonly backend: BackendChoice;
  readonly run: string | null;
}

/** The page's state: an experiment that is edited, the runs, the model that is looked into. `App` makes one. */
export class Studio {
  readonly language = new LanguageChoice();
  readonly theme = new ThemeChoice();
  readonly messages = new Messages();
  readonly data = new DataState(this);
  readonly model = new ModelView(this);
  readonly editor = new NetworkEditor(this);
  section = $state<Section>('data');
  presets = $state.raw<readonly Preset[]>([]);
  document = $state.raw<ExperimentDocument | null>(null);
  dataId = $state.raw<string | null>(null);
  backend = $state<BackendChoice>('auto');
  hasWebgpu = $state(false);
  /** Whether its adapter is a real one: software is slower than the engine on the processor. */
  hasGpu = $state(false);
  /** What computes, by the choice and by what the browser has. */
  readonly chosenBackend = $derived<BackendName>(
    this.backend !== 'auto' ? this.backend : this.hasGpu ? 'webgpu' : 'wasm',
  );
  network = $state.raw<NetworkTable | null>(null);
  /** Of this browser, the newest first. */
  stored = $state.raw<readonly StoredRun[]>([]);
  runs = $state.raw<readonly RunView[]>([]);
  run = $state.raw<RunView | null>(null);
  compared = $state.raw<RunView | null>(null);
  /** Takes a picture as a question, where one can be asked at the moment. */
  askPicture: ((file: File) => void) | null = null;
  /** Until what is opened at first is there. */
  ready: Promise<void> | null = null;
  /** The experiment of a link, on its way. */
  private opening: Promise<void> | null = null;
  private deskWorker: OpenWorker | null = null;
  private inspection = 0;
  private adoption = 0;

  /** What keeps a run from being started. */
  readonly obstacle = $derived<'data' | 'network' | null>(
    !this.document || !this.data.look ? 'data' : this.network && !this.network.error ? null : 'network',
  );

  get desk(): OpenWorker['api']['desk'] {
    this.deskWorker ??= openWorker((error) => this.messages.fail(error));
    return this.deskWorker.api.desk;
  }

  /** Opens what the address holds, or what was open when the page was left, or the digits. */
  begin(): Promise<void> {
    this.ready ??= this.messages.trying(async () => {
      void this.findWebgpu();
      this.presets = await this.desk.presets();
      const before = readKept();
      if (before?.backend) this.backend = before.backend;
      await this.refreshRuns(before?.run ?? null);
      if (this.follow(location.hash)) await this.opening;
      else await this.openLast();
    });
    return this.ready;
  }

  end(): void {
    for (const run of this.runs) run.close();
    this.model.close();
    this.deskWorker?.close();
    this.deskWorker = null;
  }

  /** Goes where an address points: a section, or an experiment in a link. */
  follow(hash: string): boolean {
    const section = sectionOf(hash);
    if (section) this.section = section;
    if (!hash.startsWith('#e=')) return section !== null && this.document !== null;
    this.opening = this.messages.trying(async () => {
      const document = await this.desk.fromText(hash.slice(3)).catch(async (error: unknown) => {
        // What a damaged link was to replace is still there.
        if (!this.document) await this.openLast();
        throw error;
      });
      await this.open(document, null);
      this.messages.tell(this.language.t.takeHome.loadedExperiment(document.name));
      history.replaceState(null, '', '#data');
      this.section = 'data';
    });
    return true;
  }

  go(section: Section): void {
    location.hash = section;
  }

  async openPreset(id: string): Promise<void> {
    const preset = this.presets.find((candidate) => candidate.id === id);
    if (preset) await this.open(preset.document, null);
  }

  /** What was open when the page was left, or the digits. */
  private async openLast(): Promise<void> {
    const before = readKept();
    if (before?.document) await this.open(before.document, before.dataId);
    else await this.openPreset('digits-cnn');
  }

  /** Another experiment, with its data where that is here. */
  async open(document: ExperimentDocument, dataId: string | null): Promise<void> {
    // Data that was chosen for the experiment before comes too late.
    this.adoption++;
    this.document = document;
    this.dataId = dataId;
    this.keep();
    this.data.hold(dataId);
    await this.data.refresh();
    await this.inspect();
  }

  edit(change: Partial<ExperimentDocument>): void {
    if (!this.document) return;
    this.document = { ...this.document, ...change };
    this.keep();
    if (change.network) void this.messages.trying(() => this.inspect());
  }

  editTraining(change: Partial<TrainingSpec>): void {
    if (this.document) this.edit({ training: { ...this.document.training, ...change } });
  }

  /**
   * Learns from other data from now on, or from the same data in another way. Other data comes with the preset for it where
   * the network can't take it.
   */
  async useData(data: DataSpec, dataId: string | null): Promise<void> {
    // Who is quicker than the page takes the place of what it opens.
    await this.ready;
    const { document } = this;
    if (!document) return;
    const turn = ++this.adoption;
    const same = dataId === this.dataId && data.source === document.data.source;
    const fitted = same
      ? await this.desk.fit({ ...document, data }, dataId)
      : await this.desk.adopt(document, data, dataId);
    // A later choice has overtaken this one.
    if (turn !== this.adoption) return;
    const { network } = fitted;
    await this.open(same ? { ...(this.document ?? document), data, network } : fitted, dataId);
  }

  /** The data that must stay: of what is open here or was last, and of the runs. */
  usedData(): string[] {
    const { dataId, data, runs } = this;
    const ids = [dataId, data.before?.dataId, readKept()?.dataId, ...runs.map(({ origin }) => origin.dataId)];
    return ids.filter((id) => typeof id === 'string');
  }

  chooseBackend(backend: BackendChoice): void {
    this.backend = backend;
    this.keep();
  }

  async inspect(): Promise<void> {
    const input = this.data.look?.input;
    const network = this.document?.network;
    if (!network || !input) {
      this.network = null;
      return;
    }
    const turn = ++this.inspection;
    const table = await this.desk.inspect(network, input as TensorSpec);
    // An answer that a later edit has overtaken.
    if (turn === this.inspection) this.network = table;
  }

  /** Trains the experiment as it stands. */
  start(): void {
    if (!this.document || this.obstacle) return;
    const created = Date.now();
    const id = `${created.toString(36)}-${Math.floor(performance.now()).toString(36)}`;
    const { document, dataId, chosenBackend: backend } = this;
    const run = new RunView(id, { document, dataId, backend, created }, (error) => this.messages.fail(error));
    this.runs = [run, ...this.runs];
    const before = this.run;
    this.show(run);
    // Two that train at once are looked at side by side.
    if (before?.alive) this.compared = before;
    run.start(false);
  }

  /** The run that the sections are about. A worker of one that doesn't move any more is given back. */
  show(run: RunView | null): void {
    if (this.run && this.run !== run && !this.run.alive) this.run.close();
    this.run = run;
    if (this.compared === run) this.compared = null;
    this.keep();
  }

  /** A run of the list, with its experiment. */
  async openRun(id: string): Promise<void> {
    const run = this.runs.find((candidate) => candidate.id === id);
    if (!run) return;
    if (!run.alive) run.fill(await this.desk.curves(id));
    this.show(run);
    if (!run.alive) await this.open(run.origin.document, run.origin.dataId);
  }

  async compare(id: string | null): Promise<void> {
    const other = this.runs.find((candidate) => candidate.id === id) ?? null;
    if (other && !other.alive && other.curves.step.length === 0) other.fill(await this.desk.curves(other.id));
    this.compared = other;
  }

  /** What was compared becomes what is shown, and the other way round. */
  swap(): void {
    const { run, compared } = this;
    if (!run || !compared) return;
    this.show(compared);
    this.compared = run;
  }

  async removeRun(id: string): Promise<void> {
    const run = this.runs.find((candidate) => candidate.id === id);
    run?.close();
    await this.desk.removeRun(id);
    if (this.run?.id === id) this.show(null);
    if (this.compared?.id === id) this.compared = null;
    this.runs = this.runs.filter((candidate) => candidate.id !== id);
    await this.refreshRuns(null);
    // Its data goes with the last run on it.
    await this.desk.removeUnused(this.usedData());
  }

  /** The runs in the browser's storage; `current` is shown where it is among them. */
  async refreshRuns(current: string | null): Promise<void> {
    this.stored = await this.desk.runs();
    const known = new Map(this.runs.map((run) => [run.id, run]));
    const fail = (error: unknown): void => this.messages.fail(error);
    const changed: RunView[] = [];
    const fresh = this.stored.map((stored) => {
      const view = known.get(stored.id);
      if (view?.refresh(stored)) changed.push(view);
      return view ?? RunView.stored(stored, fail);
    });
    // One that has just begun isn't stored yet.
    const unstored = this.runs.filter((run) => run.alive && !fresh.includes(run));
    this.runs = [...unstored, ...fresh];
    for (const view of changed)
      if (view === this.run || view === this.compared) view.fill(await this.desk.curves(view.id));
    if (current !== null && !this.run) await this.messages.trying(() => this.openRunQuietly(current));
  }

  /** What was dropped on the page, or chosen. */
  async drop(transfer: DataTransfer): Promise<void> {
    const [file, ...more] = transfer.files;
    // A picture that is let go where a network is asked is a question, not data.
    if (this.askPicture && more.length === 0 && file?.type.startsWith('image/')) this.askPicture(file);
    else await this.messages.trying(() => this.data.drop(transfer));
  }

  /** The run without its experiment, which may have been edited since. */
  private async openRunQuietly(id: string): Promise<void> {
    const run = this.runs.find((candidate) => candidate.id === id);
    if (!run) return;
    run.fill(await this.desk.curves(id));
    this.run = run;
  }

  private keep(): void {
    const { document, dataId, backend, run } = this;
    if (document)
      remember(kept, JSON.stringify({ document, dataId, backend, run: run?.id ?? null } satisfies Kept));
  }

  private async findWebgpu(): Promise<void> {
    const gpu = (navigator as { readonly gpu?: GPU }).gpu;
    const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
    this.hasWebgpu = Boolean(adapter);
    this.hasGpu = Boolean(adapter && !adapter.info.isFallbackAdapter);
  }
}

function readKept(): Kept | null {
  try {
    return JSON.parse(recall(kept) ?? 'null') as Kept | null;
  } catch {
    return null;
  }
}
