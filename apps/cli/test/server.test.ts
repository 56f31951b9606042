import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { wasm } from '@tenon-ml/backend-wasm';
import {
  type AnyLayer,
  type Backend,
  createKey,
  fromNested,
  full,
  type Model,
  type ModelArtifact,
  type NdArray,
  openModel,
  type Params,
  type TensorSpec,
  treeMap,
} from '@tenon-ml/core';
import { dense, flatten, sequential } from '@tenon-ml/layers';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type RunningServer, type ServerOptions, startServer } from '../src/server.js';

let backend: Backend;
let classifier: Model;
let running: RunningServer[] = [];

beforeAll(async () => {
  backend = wasm();
  classifier = await openModel(artifact(sequential([flatten(), dense(3)]), [null, 2, 1]), backend);
});
afterEach(async () => {
  await Promise.all(running.map((server) => server.close()));
  running = [];
});
afterAll(() => backend.dispose());

function artifact(
  layer: AnyLayer | ReturnType<typeof sequential>,
  shape: readonly (number | null)[],
  parts: Partial<ModelArtifact> = {},
): ModelArtifact {
  const input: TensorSpec = { shape, dtype: 'float32' };
  const { params, state, output } = (layer as AnyLayer).init(createKey(1), input);
  return {
    layer: layer as AnyLayer,
    params: params as Params<NdArray>,
    state: state as Params<NdArray>,
    input,
    output,
    preprocessing: [],
    outputActivation: 'softmax',
    classNames: ['ant', 'bee', 'cat'],
    card: { name: 'insects', licence: 'CC0-1.0', metrics: { test: { accuracy: 0.5 } } },
    ...parts,
  };
}

async function start(options: Partial<ServerOptions> = {}): Promise<RunningServer> {
  const server = await startServer({ model: classifier, host: '127.0.0.1', port: 0, ...options });
  running.push(server);
  return server;
}

async function post(
  { url }: RunningServer,
  body: string | Uint8Array<ArrayBuffer>,
  type = 'application/json',
): Promise<{ status: number; json: { error?: { code: string; message: string }; [name: string]: unknown } }> {
  const response = await fetch(`${url}/predict`, { method: 'POST', body, headers: { 'content-type': type } });
  expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  const text = await response.text();
  // Never a stack trace.
  expect(text).not.toMatch(/\n\s+at |\.[jt]s:\d/);
  return { status: response.status, json: JSON.parse(text) };
}

async function expected(...examples: [number, number][]): Promise<unknown> {
  return { predictions: await classifier.classify(fromNested(examples.map(([a, b]) => [[a], [b]]))) };
}

test('predictions: classes and probabilities, as the model itself gives them', async () => {
  const server = await start();
  const { status, json } = await post(server, '{ "inputs": [[[1], [2]], [[-3], [0.5]]] }');
  expect(status).toBe(200);
  expect(json).toEqual(await expected([1, 2], [-3, 0.5]));
  const [first] = json.predictions as {
    label: string;
    index: number;
    probability: number;
    probabilities: number[];
  }[];
  expect(first.label).toBe(['ant', 'bee', 'cat'][first.index]);
  expect(first.probability).toBe(Math.max(...first.probabilities));
  expect(first.probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
});

test('one example or a batch, as JSON or as CSV', async () => {
  const server = await start();
  expect((await post(server, '[[1], [2]]')).json).toEqual(await expected([1, 2]));
  expect((await post(server, '[[[1], [2]]]')).json).toEqual(await expected([1, 2]));
  const charset = 'text/csv; charset=utf-8';
  expect((await post(server, '1,2\n-3,0.5\n', charset)).json).toEqual(await expected([1, 2], [-3, 0.5]));
});

test('outputs that are not class logits come as nested arrays', async () => {
  const regression = await openModel(artifact(dense(1), [null, 2], { outputActivation: null }), backend);
  const images = await openModel(artifact(dense(2), [null, 2, 2]), backend);
  const input = fromNested([[1, 2]]);
  const output = (await regression.predict(input)) as NdArray<'float32'>;
  const { json } = await post(await start({ model: regression }), '[1, 2]');
  expect(json).toEqual({ outputs: [[output.data[0]]] });
  const nested = await post(await start({ model: images }), '[[1, 2], [3, 4]]');
  expect(nested.json.outputs).toEqual([[expect.any(Array), expect.any(Array)]]);
  regression.dispose();
  images.dispose();
});

test('what the model is, and that it is there', async () => {
  const { url } = await start();
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok' });
  expect(await (await fetch(url)).json()).toEqual({
    name: 'insects',
    licence: 'CC0-1.0',
    metrics: { test: { accuracy: 0.5 } },
    classNames: ['ant', 'bee', 'cat'],
    input: { shape: [null, 2, 1], dtype: 'float32' },
    output: { shape: [null, 3], dtype: 'float32' },
  });
});

test.each([
  [
    '[[1], [2], [3]]',
    'application/json',
    'body: expected an array of 2 arrays, got one of 3. An example is [2, 1].',
  ],
  ['[[1], ["2"]]', 'application/json', 'body, [1][0]: expected a number, got the text "2".'],
  [
    '{ "inputs": [] }',
    'application/json',
    'body, inputs: expected at least one example, got an empty array.',
  ],
  [
    '{ "inputs": [[[1], [2]], [[1]]] }',
    'application/json',
    'body, inputs[1]: expected an array of 2 arrays, got one of 1. An example is [2, 1].',
  ],
  ['[[1],\n[2]', 'application/json', 'body:2: expected JSON, got '],
  ['', 'application/json', 'body:1: expected JSON, got Unexpected end of JSON input.'],
  [
    '{"__proto__": {"inputs": [1]}}',
    'application/json',
    'body: expected nested arrays of numbers, one example [2, 1] or a batch [batch, 2, 1], got an object with __proto__.',
  ],
  ['1,2\n3,x\n', 'text/csv', "body:2, column_2: expected a number, got 'x'."],
  [
    '1,2,3\n',
    'text/csv',
    'body:1: expected 2 columns, the numbers of an example [2, 1], got 3. Leave out the label.',
  ],
])('input that does not fit is a 400 that says why: %j', async (body, type, message) => {
  const { status, json } = await post(await start(), body, type);
  expect([status, json.error?.code]).toEqual([400, 'DATA_INVALID']);
  expect(json.error?.message).toContain(message);
});

test('text that is not UTF-8', async () => {
  const server = await start();
  const { status, json } = await post(server, Uint8Array.of(0x5b, 0xff, 0x5d));
  expect([status, json]).toEqual([
    400,
    { error: { code: 'DATA_INVALID', message: 'body: expected UTF-8 text, got bytes that are none.' } },
  ]);
});

test('numbers that leave the model not finite are an error, never null', async () => {
  const { params } = classifier.artifact;
  const large = {
    ...classifier.artifact,
    params: treeMap<NdArray, NdArray>(params, ({ shape }) => full(shape, 10)) as Params<NdArray>,
  };
  for (const outputActivation of ['softmax', null] as const) {
    const model = await openModel({ ...large, outputActivation }, backend);
    const { status, json } = await post(await start({ model }), '[[[1], [2]], [[3e38], [3e38]]]');
    expect([status, json.error?.code]).toEqual([400, 'NOT_FINITE']);
    expect(json.error?.message).toMatch(/^example 2: the model's output is not finite\./);
    model.dispose();
  }
});

test('other content types, bodies, paths and methods', async () => {
  const server = await start({ bodyLimit: 100 });
  const form = await post(server, 'inputs=1', 'application/x-www-form-urlencoded');
  expect([form.status, form.json.error?.code]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
  expect(form.json.error?.message).toContain("curl -H 'content-type: text/csv'");

  const large = await post(server, `[${'[1],'.repeat(100)}[1]]`);
  expect([large.status, large.json.error]).toEqual([
    413,
    {
      code: 'BODY_TOO_LARGE',
      message: 'body: expected at most 100 bytes, got more. Send fewer examples at a time.',
    },
  ]);

  const empty = await fetch(`${server.url}/predict`, { method: 'POST' });
  expect([empty.status, await empty.json()]).toEqual([
    400,
    {
      error: {
        code: 'DATA_INVALID',
        message: 'body: expected examples as application/json or text/csv, got an empty body.',
      },
    },
  ]);
  const got = await fetch(`${server.url}/predict`);
  expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
  expect(await got.json()).toEqual({
    error: { code: 'METHOD_NOT_ALLOWED', message: '/predict: expected POST, got GET.' },
  });
  for (const path of ['/predictions', '/%E0%A4%A']) {
    const response = await fetch(server.url + path);
    expect(await response.json()).toEqual({
      error: { code: expect.any(String), message: expect.any(String) },
    });
    expect([400, 404]).toContain(response.status);
  }
});

test('the default limit is 8 MiB', async () => {
  const server = await start();
  const rows = (bytes: number): string => '1,2\n'.repeat(bytes / 4);
  expect((await post(server, rows(8 * 1024 * 1024 + 4), 'text/csv')).status).toBe(413);
  expect((await post(server, rows(1024 * 1024), 'text/csv')).status).toBe(200);
}, 120_000);

test('an unexpected error is told to the operator, and not to the client', async () => {
  const onError = vi.fn();
  const failing: Model = { ...classifier, classify: () => Promise.reject(new Error('secret: /etc/model')) };
  const { status, json } = await post(await start({ model: failing, onError }), '[[1], [2]]');
  expect([status, json]).toEqual([
    500,
    { error: { code: 'INTERNAL', message: 'The server failed: its own output says why.' } },
  ]);
  expect(onError).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ message: 'secret: /etc/model' }));
});

test('requests at the same time each get their own answer', async () => {
  const server = await start();
  const examples = Array.from({ length: 40 }, (_, i): [number, number] => [i, 20 - i]);
  const answers = await Promise.all(examples.map(([a, b]) => post(server, `[[${a}], [${b}]]`)));
  for (const [i, { json }] of answers.entries()) expect(json).toEqual(await expected(examples[i]));
});

/** A model that answers when it is told to. */
function slowModel(): { model: Model; asked: Promise<void>; answer: () => void } {
  let ask: () => void;
  let answer: () => void;
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const ready = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const model: Model = {
    ...classifier,
    async classify(input) {
      ask();
      await ready;
      return classifier.classify(input);
    },
  };
  return { model, asked, answer: () => answer() };
}

test('closing answers what is under way, on connections that are kept alive too, and takes nothing new', async () => {
  const { model, asked, answer } = slowModel();
  const controller = new AbortController();
  const server = await start({ model, signal: controller.signal });
  const agent = new Agent({ keepAlive: true });
  const answered = new Promise<string>((resolve, reject) => {
    const sent = request(
      `${server.url}/predict`,
      { method: 'POST', agent, headers: { 'content-type': 'text/csv' } },
      (response) => {
        response.setEncoding('utf8');
        let text = '';
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve(`${response.statusCode} ${text}`));
      },
    );
    sent.on('error', reject);
    sent.end('1,2\n');
  });
  await asked;
  controller.abort();
  const { port, hostname } = new URL(server.url);
  await expect
    .poll(
      () =>
        new Promise<string>((resolve) => {
          const socket = connect(Number(port), hostname);
          socket.once('connect', () => resolve('connected')).once('error', () => resolve('refused'));
          socket.once('connect', () => socket.destroy());
        }),
    )
    .toBe('refused');
  answer();
  expect(await answered).toBe(`200 ${JSON.stringify(await expected([1, 2]))}`);
  await server.closed;
  agent.destroy();
});

test('a port that is taken, and an address that is not here', async () => {
  const { url } = await start();
  const port = Number(new URL(url).port);
  await expect(start({ port })).rejects.toThrow(
    `127.0.0.1:${port}: another program listens on this port. Choose another with --port; 0 takes any that is free.`,
  );
  await expect(start({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
