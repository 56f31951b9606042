import { type Loss, memoryStore, prefixedStore, saveModel, TenonError, toZip } from '@tenon-ml/core';
import { opfsStore } from '@tenon-ml/core/browser';
import { softmaxCrossEntropy } from '@tenon-ml/losses';
import { createBackend } from './backends.js';
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
  /** Opens a saved model from its files. */
  openFiles(files: readonly (readonly [string, Uint8Array])[], backend: BackendName): Promise<SubjectInfo>;
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

export function createSubjectHost(host: RunHost): SubjectHost {
  let subject: Subject | null = null;
  let features: Features | null = null;
  /** Whether the saved model of the run that ended here is the subject. */
  let opened = false;
  let writing: AbortController | undefined;
  const own = createTurns();
  const open = (next: Subject): void => {
    subject?.explainer.dispose();
    subject = next;
    features = null;
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
      if (saved && origin && !opened) {
        const store = await opfsStore(`runs/${saved.id}`);
        open(await subjectOfStore(store, await openData(origin.dataId), saved.backend));
        opened = true;
      }
      if (subject) return f(subject);
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
      await own(async () => {
        const store = await opfsStore(`runs/${id}`);
        const backend = await createBackend(origin.backend);
        open(await subjectOfStore(store, await openData(origin.dataId), backend));
      });
      return info();
    },
    async openFiles(files, backend) {
      await own(async () => {
        const store = memoryStore(files, 'the opened files');
        const data = (await store.list('data/')).length > 0 ? prefixedStore(store, 'data/') : undefined;
        open(await subjectOfStore(store, data, await createBackend(backend)));
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
