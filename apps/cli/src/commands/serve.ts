import { type BackendFlags, startBackend } from '../backends.js';
import { interruption } from '../interruption.js';
import type { Output } from '../output.js';
import { openRunModel } from '../run_model.js';
import { openRunStore } from '../run_store.js';
import { startServer } from '../server.js';

export interface ServeFlags extends BackendFlags {
  readonly host: string;
  readonly port: number;
}

/**
 * `tenon serve RUN`: says where it listens (with `--json` as `{ "url": … }`), and resolves once Ctrl-C or SIGTERM came
 * and the requests under way are answered; a second one ends the process at once.
 */
export async function serve(run: string, flags: ServeFlags, output: Output): Promise<void> {
  const { backend } = await startBackend(flags);
  const interrupted = interruption(() => output.note('Answering what has come in. Again to stop at once.'));
  try {
    const model = await openRunModel(await openRunStore(run), backend);
    const { host, port } = flags;
    const server = await startServer({ model, host, port, signal: interrupted.signal });
    const { url } = server;
    output.result({ url }, `${url} answers POST /predict (GET / tells about the model). Ctrl-C ends it.`);
    await server.closed;
    model.dispose();
  } finally {
    interrupted.release();
    await backend.dispose();
  }
}
