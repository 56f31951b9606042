import type { AddressInfo } from 'node:net';
import { type ErrorCode, isNdArray, isTenonError, type Model, TenonError } from '@tenon-ml/core';
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { answer } from './answer.js';
import { decodeCsv, decodeJson, decodeText } from './decode_input.js';

export interface ServerOptions {
  readonly model: Model;
  /** The address to listen on: '127.0.0.1' is for this machine only, '0.0.0.0' for all that reach it. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Closes the server as `close` does. */
  readonly signal?: AbortSignal;
  /** The largest body in bytes; 8 MiB by default. */
  readonly bodyLimit?: number;
  /** Is told of errors that are no client's fault; they go to stderr by default. */
  readonly onError?: (error: unknown) => void;
}

export interface RunningServer {
  readonly url: string;
  /** Takes no more requests, and resolves when those under way are answered. */
  close(): Promise<void>;
  /** Resolves when the server is closed, whoever closed it. */
  readonly closed: Promise<void>;
}

/**
 * Answers predictions over HTTP.
 *
 * - `GET /health`: `{ "status": "ok" }`.
 * - `GET /`: the model card: name, description, data, licence, metrics, class names, the signatures of input and output.
 * - `POST /predict` with `application/json` (`{ "inputs": [example, …] }`, or nested arrays: one example or a batch) or
 *   `text/csv` (a record an example): `{ "predictions": [{ "label", "index", "probability", "probabilities" }, …] }`; for
 *   a model whose outputs aren't class logits `{ "outputs": … }`, nested arrays.
 *
 * Failures are `{ "error": { "code", "message" } }`: 400 for input that doesn't fit, 404, 405, 413 for a body above the
 * limit, 415 for another content type, 500 for what is the server's fault.
 *
 * Throws `USAGE` where the port is taken, `PERMISSION_DENIED`, `INVALID_ARGUMENT` for an address that isn't this machine's.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, port, signal } = options;
  const server = createServer(options);
  try {
    await server.listen({ host, port });
  } catch (error) {
    await server.close();
    throw listenError(error, host, port);
  }
  const address = server.server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  let closing: Promise<void> | undefined;
  let settle: () => void;
  const closed = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const close = (): Promise<void> => {
    closing ??= server.close().then(() => settle());
    return closing;
  };
  if (signal?.aborted) await close();
  else signal?.addEventListener('abort', () => void close(), { once: true });
  return { url: `http://${name}:${address.port}`, close, closed };
}

function createServer({
  model,
  bodyLimit = 8 * 1024 * 1024,
  onError = console.error,
}: ServerOptions): FastifyInstance {
  const answerError = (error: unknown, reply: FastifyReply): FastifyReply => {
    const failure = describeFailure(error, bodyLimit);
    if (failure.status >= 500) onError(error);
    return fail(reply, failure);
  };
  const server = fastify({
    bodyLimit,
    // A slow sender must not keep a server from closing.
    requestTimeout: 60_000,
    frameworkErrors: (error, _request, reply) => answerError(error, reply),
  });

  let closing = false;
  server.addHook('preClose', async () => {
    closing = true;
  });
  // A connection that is kept alive would hold a closing server open.
  server.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });

  server.removeAllContentTypeParsers();
  for (const [type, decode] of Object.entries({ 'application/json': decodeJson, 'text/csv': decodeCsv })) {
    server.addContentTypeParser(type, { parseAs: 'buffer' }, async (_request: unknown, body: Buffer) =>
      decode(decodeText(body, 'body'), 'body', model.artifact.input),
    );
  }

  const { card, classNames, input, output } = model.artifact;
  server.get('/', async () => ({ ...card, classNames, input, output }));
  server.get('/health', async () => ({ status: 'ok' }));
  server.post('/predict', async ({ body }) => {
    if (isNdArray(body)) return answer(model, body);
    throw new TenonError({
      code: 'DATA_INVALID',
      where: 'body',
      expected: 'examples as application/json or text/csv',
      got: 'an empty body',
    });
  });
  server.route({
    method: ['GET', 'PUT', 'PATCH', 'DELETE'],
    url: '/predict',
    handler: ({ method }, reply) =>
      fail(reply.header('allow', 'POST'), {
        status: 405,
        code: 'METHOD_NOT_ALLOWED',
        message: `/predict: expected POST, got ${method}.`,
      }),
  });
  server.setNotFoundHandler(({ method, url }, reply) =>
    fail(reply, {
      status: 404,
      code: 'NOT_FOUND',
      message: `There is no ${method} ${url.slice(0, 100)} here: ask GET /, GET /health or POST /predict.`,
    }),
  );
  server.setErrorHandler((error, _request, reply) => answerError(error, reply));
  return server;
}

interface Failure {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

function fail(reply: FastifyReply, { status, code, message }: Failure): FastifyReply {
  return reply.code(status).send({ error: { code, message } });
}

const clientCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DATA_INVALID',
  'INVALID_ARGUMENT',
  'SHAPE_MISMATCH',
  'DTYPE_MISMATCH',
  'STRUCTURE_MISMATCH',
  'LABEL_OUT_OF_RANGE',
  'NOT_FINITE',
  'USAGE',
]);

/** What a client is told: of an unexpected error no more than that it happened. */
function describeFailure(error: unknown, bodyLimit: number): Failure {
  if (isTenonError(error)) {
    return { status: clientCodes.has(error.code) ? 400 : 500, code: error.code, message: error.message };
  }
  const { code, statusCode = 500, message } = error as Partial<FastifyError>;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return {
        status: 413,
        code: 'BODY_TOO_LARGE',
        message: `body: expected at most ${bodyLimit} bytes, got more. Send fewer examples at a time.`,
      };
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return {
        status: 415,
        code: 'UNSUPPORTED_MEDIA_TYPE',
        message:
          'body: expected the content type application/json or text/csv, got another. ' +
          "Say which it is: curl -H 'content-type: text/csv' --data-binary @FILE URL/predict.",
      };
  }
  if (statusCode >= 400 && statusCode < 500) {
    return { status: statusCode, code: 'BAD_REQUEST', message: `${message ?? 'a bad request'}.` };
  }
  return { status: 500, code: 'INTERNAL', message: 'The server failed: its own output says why.' };
}

function listenError(error: unknown, host: string, port: number): unknown {
  const where = `${host}:${port}`;
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new TenonError({
        code: 'USAGE',
        where,
        message: 'another program listens on this port',
        hint: 'Choose another with --port; 0 takes any that is free.',
        cause: error,
      });
    case 'EACCES':
      return new TenonError({
        code: 'PERMISSION_DENIED',
        where,
        message: 'this user may not listen on this port',
        hint: 'Choose one above 1023 with --port.',
        cause: error,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new TenonError({
        code: 'INVALID_ARGUMENT',
        where,
        expected: 'an address of this machine as --host, such as 127.0.0.1',
        got: `'${host}'`,
        cause: error,
      });
    default:
      return error;
  }
}
