import {
  type Backend,
  isTenonError,
  type Loss,
  memoryStore,
  prefixedStore,
  saveModel,
  TenonError,
  toZip,
} from '@tenon-ml/core';
import { opfsStore } from '@tenon-ml/core/browser';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { createBackend, recreateBackend } from './backends.js';
import { openData } from './data.js';
import {
  activationsOf,
  answerOf,
  attentionOf,
  type Features,
  featuresOf,
  filtersOf,
  gradientsOf,
  heatOf,
  neighboursOf,
  textOf,
  worstOf,
} from './looks.js';
import type { BackendName, Picture, RunOrigin } from './protocol.js';
import type {
  Answer,
  AttentionMaps,
  GradientSpread,
  LayerPictures,
  Neighbour,
  SubjectInfo,
  SubjectInput,
  TextRequest,
  WrongExample,
} from './protocol_subject.js';
import type { RunHost, RunInside } from './run.js';
import { infoOf, type Subject, subjectOfRun, subjectOfStore } from './subject.js';
import { createTurns } from './turns.js';

/** What the page asks of the model in this worker: that of its run as it stands, or one that was opened from files. */
export interface SubjectHost {
  /** Opens the saved model of a finished run. */
  openRun(id: string, origin: RunOrigin): Promise<SubjectInfo>;
  /** Opens a saved model from its files, which messages call by this name. */
  openFiles(
    name: string,
    files: readonly (readonly [string, Uint8Array])[],
    backend: BackendName,
  ): Promise<SubjectInfo>;
  info(): Promise<SubjectInfo>;
  filters(): Promise<LayerPictures[]>;
  activations(input: SubjectInput): Promise<LayerPictures[]>;
  gradients(): Promise<GradientSpread[]>;
  worst(count: number): Promise<WrongExample[]>;
  answer(input: SubjectInput): Promise<Answer>;
  heat(
    input: SubjectInput,
    options: { readonly method: 'saliency' | 'gradCam'; readonly target: number; readonly path?: string },
  ): Promise<Picture>;
  neighbours(input: SubjectInput, count: number): Promise<Neighbour[]>;
  attention(text: string): Promise<AttentionMaps>;
  /** Tells each character as it comes; resolves at the end, or once `stopText` was called. */
  text(request: TextRequest, onCharacter: (character: string) => Promise<void> | void): Promise<void>;
  stopText(): void;
  /** A zip of the run as it stands, for the command line and for this page. */
  bundle(id: string, dataId: string | null, withData: boolean): Promise<Uint8Array<ArrayBuffer>>;
}

/** One value, since an explainer compiles a step for each. */
const classLoss = softmaxCrossEntropy() as unknown as Loss;

/** Whether there is no GPU any more, or none in this browser. */
function isGone(error: unknown): boolean {
  return isTenonError(error) && (error.code === 'DEVICE_LOST' || error.code === 'BACKEND_UNAVAILABLE');
}

export function createSubjectHost(host: RunHost): SubjectHost {
  let subject: Subject | null = null;
  let features: Features | null = null;
  /** Opens a saved model, which doesn't change, again. */
  let reopen: (() => Promise<Subject>) | null = null;
  let writing: AbortController | undefined;
  const own = createTurns();
  const open = (next: Subject): void => {
    subject?.explainer.dispose();
    subject = next;
    features = null;
  };

  const openStored = async (id: string, origin: RunOrigin, backend: Backend): Promise<Subject> =>
    subjectOfStore(await opfsStore(`runs/${id}`), await openData(origin.dataId), backend);
  /** A device that was lost comes back as another backend. */
  const openBy = async (
    how: (backend: Backend) => Promise<Subject>,
    first: Backend | BackendName,
  ): Promise<void> => {
    const name = typeof first === 'string' ? first : (first.name as BackendName);
    // Browsers may give up a GPU that was lost twice. The processor answers the same.
    const anew = async (): Promise<Subject> =>
      how(await recreateBackend(name).catch(() => createBackend('wasm')));
    const given = how(typeof first === 'string' ? await createBackend(first) : first);
    open(await given.catch((error: unknown) => (isGone(error) ? anew() : Promise.reject(error))));
    reopen = anew;
  };
  const again = async <T>(f: (subject: Subject) => Promise<T> | T, asked: Subject): Promise<T> => {
    try {
      return await f(asked);
    } catch (error) {
      if (!reopen || !isGone(error)) throw error;
      const fresh = await reopen();
      open(fresh);
      return f(fresh);
    }
  };

  /** The subject as it is now, while no step is under way and nothing else looks into it. */
  const looking = <T>(f: (subject: Subject) => Promise<T> | T): Promise<T> =>
    own(async () => {
      const [inside, origin] = [host.inside(), host.origin()];
      if (inside && origin) {
        const seen = await inside.turn(async () => {
          // The run has ended while this waited for its turn.
          if (host.inside() !== inside) return null;
          subject = await subjectOfRun(inside, origin, subject);
          return { value: await f(subject) };
        });
        if (seen) return seen.value;
      }
      const saved = host.saved();
      // The subject so far is the training's, which is over.
      if (saved && origin && !reopen)
        await openBy((backend) => openStored(saved.id, origin, backend), saved.backend);
      if (subject) return again(f, subject);
      throw new TenonError({ code: 'USAGE', message: 'There is no model here yet.' });
    });
  const lossOf = ({ artifact }: Subject): Loss => {
    const plan = host.inside()?.plan;
    if (plan) return plan.loss as unknown as Loss;
    if (artifact.outputActivation === 'softmax') return classLoss;
    throw new TenonError({ code: 'USAGE', message: 'The loss of this model is not known.' });
  };
  const known = async (at: Subject): Promise<Features | null> => {
    if (!features || features.step !== at.step) features = await featuresOf(at);
    return features;
  };
  const info = (): Promise<SubjectInfo> =>
    looking((at) => infoOf(at, at.parts ? Math.min(2000, at.parts.train.length ?? 0) : 0));

  return {
    async openRun(id, origin) {
      // What is asked meanwhile waits for it.
      await own(() => openBy((backend) => openStored(id, origin, backend), origin.backend));
      return info();
    },
    async openFiles(name, files, backend) {
      await own(async () => {
        const store = memoryStore(files, name);
        const data = (await store.list('data/')).length > 0 ? prefixedStore(store, 'data/') : undefined;
        await openBy((device) => subjectOfStore(store, data, device), backend);
      });
      return info();
    },
    info,
    filters: () => looking(filtersOf),
    activations: (input) => looking((at) => activationsOf(at, input)),
    gradients: () => looking((at) => gradientsOf(at, lossOf(at), 32)),
    worst: (count) => looking((at) => worstOf(at, lossOf(at), count)),
    answer: (input) => looking((at) => answerOf(at, input)),
    heat: (input, options) => looking((at) => heatOf(at, input, options)),
    neighbours: (input, count) =>
      looking(async (at) => {
        const all = await known(at);
        return all ? neighboursOf(at, all, input, count) : [];
      }),
    attention: (text) => looking((at) => attentionOf(at, text)),
    async text(request, onCharacter) {
      writing?.abort();
      const stopping = new AbortController();
      writing = stopping;
      // A character a turn: a training goes on between them.
      const characters = await looking(() => textOf(() => subject as Subject, request));
      for (;;) {
        const next = await looking(() => (stopping.signal.aborted ? null : characters.next()));
        if (!next || next.done) return;
        await onCharacter(next.value);
      }
    },
    stopText: () => writing?.abort(),
    async bundle(id, dataId, withData) {
      const store = await opfsStore(`runs/${id}`);
      const out = memoryStore();
      const copy = async (inside: RunInside | null): Promise<void> => {
        const copied = (await store.list()).filter((path) => !path.startsWith('checkpoints/'));
        for (const path of copied) await out.write(path, await store.read(path));
        if (inside) await saveModel(out, await inside.trainer.artifact(inside.plan.card));
      };
      const running = host.inside();
      // By then it may have ended, and has saved its model.
      await (running ? running.turn(() => copy(host.inside())) : copy(null));
      const data = withData ? await openData(dataId) : undefined;
      if (data) for (const path of await data.list()) await out.write(`data/${path}`, await data.read(path));
      return (await toZip(out)) as Uint8Array<ArrayBuffer>;
    },
  };
}
