import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

/** What a peer says of itself when it has started. */
export interface Hello {
  readonly version: string;
  readonly backend: string;
  readonly threads: number;
}

/** What it answers to a run. */
export interface Ran {
  readonly times: readonly number[];
  readonly loss?: number;
}

/** What it knows of a unit beside its times. */
export interface Description {
  /** Kernels that a step launches. */
  readonly dispatches?: number;
  /** Milliseconds that a step takes in JavaScript alone. */
  readonly jsMs?: number;
  /** Bytes that a replayed step has in between. */
  readonly planBytes?: number;
}

/** A peer that isn't installed here, or a workload that it can't express: no defect of the peer's. */
export class Absent extends Error {}

/** A request that took too long; the process is gone. */
export class TooSlow extends Error {}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A peer's process; peers/serve.ts has the protocol. */
export class PeerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly #closed: Promise<unknown>;
  #errors = '';
  #failure: Error | undefined;
  #nextId = 1;

  private constructor({ file, args, env }: Command) {
    this.#child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(this.#child);
    this.#closed = new Promise((done) => this.#child.on('close', done));
    this.#child.on('exit', () => running.delete(this.#child));
    this.#child.on('error', (error) => {
      this.#failure = error;
      this.#reader.close();
    });
    this.#child.stdin?.on('error', () => {});
    this.#child.stderr?.on('data', (chunk) => {
      this.#errors = (this.#errors + chunk).slice(-4000);
    });
    this.#reader = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Starts it. Throws `Absent` where it isn't installed. */
  static async open(command: Command, timeoutMs: number): Promise<{ process: PeerProcess; hello: Hello }> {
    const process = new PeerProcess(command);
    const hello = await process.#next<Hello & { unavailable?: string }>(timeoutMs).catch((error) => {
      throw error.code === 'ENOENT' ? new Absent(`there is no ${command.file}`) : error;
    });
    if (hello.unavailable === undefined) return { process, hello };
    process.kill();
    throw new Absent(hello.unavailable);
  }

  get alive(): boolean {
    return running.has(this.#child);
  }

  /** Starts a unit and gives its number. Throws `Absent` for one that the peer can't express. */
  async start(unit: { workload: string; batch: number; case: string }, timeoutMs: number): Promise<number> {
    const id = this.#nextId++;
    await this.#request({ op: 'start', id, ...unit }, timeoutMs);
    return id;
  }

  run(id: number, steps: number, timeoutMs: number): Promise<Ran> {
    return this.#request<Ran>({ op: 'run', id, steps }, timeoutMs);
  }

  describe(id: number, timeoutMs: number): Promise<Description> {
    return this.#request<Description>({ op: 'describe', id }, timeoutMs);
  }

  async stop(id: number): Promise<void> {
    if (this.alive) await this.#request({ op: 'stop', id }, 30_000);
  }

  /** Lets it end by itself, or ends it. */
  async close(): Promise<void> {
    if (!this.alive) return;
    const exit = new Promise((done) => this.#child.on('exit', done));
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.kill(), 5000);
    await exit;
    clearTimeout(timer);
  }

  kill(): void {
    running.delete(this.#child);
    this.#child.kill('SIGKILL');
  }

  async #request<T>(message: object, timeoutMs: number): Promise<T> {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
    const answer = await this.#next<T & { error?: string; unsupported?: string }>(timeoutMs);
    if (answer.unsupported !== undefined) throw new Absent(answer.unsupported);
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  async #next<T>(timeoutMs: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.kill();
        reject(new TooSlow(`took more than ${Math.round(timeoutMs / 1000)} s`));
      }, timeoutMs);
    });
    try {
      const { value, done } = await Promise.race([this.#lines.next(), late]);
      if (!done) return JSON.parse(value) as T;
      this.kill();
      // Its last words may still be on their way.
      await Promise.race([this.#closed, late]);
      throw this.#failure ?? new Error(`the process ended: ${lastLines(this.#errors)}`);
    } finally {
      clearTimeout(timer);
    }
  }
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' / ') || 'without a word';
}
