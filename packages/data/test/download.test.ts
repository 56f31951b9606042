import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cacheFolder } from '../src/node/cache.js';
import { cifar10, downloadFile } from '../src/node/index.js';
import { rejection } from './support.js';

const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31 + (i >> 8)) % 256));
const checksum = { algorithm: 'sha256', digest: createHash('sha256').update(bytes).digest('hex') } as const;

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;
let folder = '';
let server: Server;
let url = '';
let handler: Handler;
/** The Range and If-Range of the requests so far. */
let asked: (string | undefined)[][] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenon-download-'));
  server = createServer((request, response) => {
    asked.push([request.headers.range, request.headers['if-range'] as string | undefined]);
    handler(request, response, asked.length);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/data.bin`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

let path = '';
beforeEach(async () => {
  asked = [];
  path = join(await mkdtemp(join(folder, 'case-')), 'cache', 'data.bin');
});

/** Everything in the folder that the file goes into. */
const present = (): string[] => (existsSync(join(path, '..')) ? readdirSync(join(path, '..')) : []);

/** Answers as file servers do: ranges, a validator, and a connection that may die after some bytes. */
function send(
  request: IncomingMessage,
  response: ServerResponse,
  options: { content?: Buffer; etag?: string; ranges?: boolean; dieAfter?: number } = {},
): void {
  const { content = bytes, etag = '"v1"', ranges = true, dieAfter } = options;
  const begin = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
  const condition = request.headers['if-range'];
  const part = ranges && begin > 0 && (condition === undefined || condition === etag);
  if (part && begin >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
    return;
  }
  const body = part ? content.subarray(begin) : content;
  response.writeHead(part ? 206 : 200, {
    'content-length': body.length,
    etag,
    ...(part && { 'content-range': `bytes ${begin}-${content.length - 1}/${content.length}` }),
  });
  if (dieAfter === undefined) response.end(body);
  else dieWith(response, body.subarray(0, dieAfter), part ? begin : 0);
}

/** Sends a part, and breaks off once the other side has it on its disk: what is under way then may be lost. */
function dieWith(response: ServerResponse, body: Buffer, begin = 0): void {
  response.write(body);
  const wait = setInterval(() => {
    if (stored() < begin + body.length) return;
    clearInterval(wait);
    response.destroy();
  }, 5);
}

/** How many bytes of a partial download are on the disk. */
function stored(): number {
  const files = present().map((name) => join(path, '..', name, 'bytes'));
  return Math.max(0, ...files.filter((file) => existsSync(file)).map((file) => statSync(file).size));
}

async function expectWhole(): Promise<void> {
  expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  expect(present()).toEqual(['data.bin']);
}

describe('downloadFile', () => {
  test('writes the file, tells how far it is, and leaves nothing else', async () => {
    handler = (request, response) => send(request, response);
    const seen: { received: number; total?: number }[] = [];
    await downloadFile(url, { path, checksum, onProgress: (progress) => seen.push(progress) });
    await expectWhole();
    expect(seen.at(-1)).toEqual({ received: bytes.length, total: bytes.length });
    expect(seen.every(({ received }, i) => i === 0 || received > seen[i - 1].received)).toBe(true);
  });

  test('a connection that breaks off twice is taken up where it was', async () => {
    handler = (request, response, count) =>
      send(request, response, { dieAfter: count <= 2 ? 50_000 : undefined });
    await downloadFile(url, { path, checksum });
    await expectWhole();
    expect(asked).toEqual([
      [undefined, undefined],
      ['bytes=50000-', '"v1"'],
      ['bytes=100000-', '"v1"'],
    ]);
  });

  test('a server without ranges: from the beginning', async () => {
    handler = (request, response, count) =>
      send(request, response, { ranges: false, dieAfter: count === 1 ? 50_000 : undefined });
    await downloadFile(url, { path, checksum });
    await expectWhole();
    expect(asked).toHaveLength(2);
  });

  test('a file that was replaced in between: from the beginning, never half of each', async () => {
    const old = Buffer.alloc(bytes.length, 7);
    handler = (request, response, count) =>
      count === 1
        ? send(request, response, { content: old, etag: '"old"', dieAfter: 50_000 })
        : send(request, response);
    await downloadFile(url, { path });
    await expectWhole();
    expect(asked[1]).toEqual(['bytes=50000-', '"old"']);
  });

  test('a server that joins two files in silence: the checksum tells, and it begins anew', async () => {
    const old = Buffer.alloc(bytes.length, 7);
    handler = (request, response, count) => {
      if (count === 1) send(request, response, { content: old, dieAfter: 50_000 });
      else send(request, response);
    };
    await downloadFile(url, { path, checksum });
    await expectWhole();
    expect(asked.map(([range]) => range)).toEqual([undefined, 'bytes=50000-', undefined]);
  });

  test('a server that says it is longer than it is: breaks off for good, with how far it came', async () => {
    handler = (request, response) => {
      const begin = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
      const total = bytes.length + 10;
      response.writeHead(begin > 0 ? 206 : 200, {
        'content-length': total - begin,
        etag: '"v1"',
        'content-range': `bytes ${begin}-${total - 1}/${total}`,
      });
      dieWith(response, bytes.subarray(begin), begin);
    };
    const error = await rejection(downloadFile(url, { path, checksum }));
    expect(error).toMatchObject({ code: 'DOWNLOAD_FAILED', where: url });
    expect(error.message).toContain('broke off after 200000 of 200010 bytes, and 3 attempts to go on');
    expect(existsSync(path)).toBe(false);
  });

  test('one that lies in its first answer only: what it really has is enough', async () => {
    handler = (request, response, count) => {
      if (count > 1) return send(request, response);
      response.writeHead(200, { 'content-length': bytes.length + 10, etag: '"v1"' });
      dieWith(response, bytes);
    };
    await downloadFile(url, { path, checksum });
    await expectWhole();
  });

  test('one that says it is shorter than it is: the checksum tells, and nothing is left', async () => {
    handler = (_, response) => {
      response.writeHead(200, { 'content-length': 1000, etag: '"v1"' });
      response.end(bytes.subarray(0, 1000));
    };
    const error = await rejection(downloadFile(url, { path, checksum }));
    expect(error).toMatchObject({ code: 'DATA_INVALID', where: url });
    expect(error.message).toContain(
      `expected a file with the sha256 ${checksum.digest}, got 1000 bytes with`,
    );
    expect(present()).toEqual([]);
  });

  test('a server that contradicts itself does not keep it busy for ever', async () => {
    handler = (request, response, count) => {
      if (request.headers.range) {
        response.writeHead(416, { 'content-range': `bytes */${count}` }).end();
        return;
      }
      send(request, response, { dieAfter: 1000 });
    };
    const error = await rejection(downloadFile(url, { path, checksum }));
    expect(error).toMatchObject({ code: 'DOWNLOAD_FAILED' });
    expect(error.message).toContain('contradicts itself');
  });

  test('without a length: to its end', async () => {
    handler = (_, response) => {
      response.writeHead(200);
      response.write(bytes.subarray(0, 100_000));
      response.end(bytes.subarray(100_000));
    };
    const seen: unknown[] = [];
    await downloadFile(url, { path, checksum, onProgress: (progress) => seen.push(progress) });
    await expectWhole();
    expect(seen.at(-1)).toEqual({ received: bytes.length });
  });

  test('a file that is not there, and a server that is not well', async () => {
    handler = (_, response) => response.writeHead(404).end('gone');
    const error = await rejection(downloadFile(url, { path }));
    expect(error).toMatchObject({ code: 'DOWNLOAD_FAILED' });
    expect(error.message).toMatch(/the server answers 404 Not Found\. Fetch it by hand/);
    expect(asked).toHaveLength(1);
    handler = (request, response, count) =>
      count === 2 ? void response.writeHead(503).end() : send(request, response);
    await downloadFile(url, { path, checksum });
    await expectWhole();
  });

  test('a server that falls silent', async () => {
    handler = (request, response, count) => {
      if (count > 1) return send(request, response);
      response.writeHead(200, { 'content-length': bytes.length, etag: '"v1"' });
      response.write(bytes.subarray(0, 5000));
    };
    await downloadFile(url, { path, checksum, patience: 500 });
    await expectWhole();
    expect(asked[1]).toEqual(['bytes=5000-', '"v1"']);
  });

  test('no network: why, and the command to fetch it by hand', async () => {
    const nowhere = 'http://127.0.0.1:1/data.bin';
    const error = await rejection(downloadFile(nowhere, { path }));
    expect(error).toMatchObject({ code: 'DOWNLOAD_FAILED', where: nowhere });
    expect(error.message).toMatch(/could not be downloaded: .*Fetch it by hand, on another machine/);
    expect(error.message).toContain(`curl -fL --create-dirs -o '${path}' '${nowhere}'`);
  });

  test('an abort ends it with its reason, and the next call goes on', async () => {
    const abort = new AbortController();
    handler = (request, response, count) =>
      send(request, response, { dieAfter: count === 1 ? 50_000 : undefined });
    const reason = new Error('enough');
    const onProgress = ({ received }: { received: number }) => received >= 50_000 && abort.abort(reason);
    expect(await rejection(downloadFile(url, { path, checksum, onProgress, signal: abort.signal }))).toBe(
      reason,
    );
    expect(existsSync(path)).toBe(false);
    await downloadFile(url, { path, checksum });
    await expectWhole();
    expect(asked[1]).toEqual(['bytes=50000-', '"v1"']);
    expect(await rejection(downloadFile(url, { path, signal: abort.signal }))).toBe(reason);
  });

  test('a process that is killed leaves no file, and another goes on from its part', async () => {
    handler = (request, response, count) => {
      if (count > 1) return send(request, response);
      response.writeHead(200, { 'content-length': bytes.length, etag: '"v1"' });
      response.write(bytes.subarray(0, 60_000));
    };
    // What the other process would be: one that has begun, and died.
    const program = `
      const { mkdirSync, writeFileSync } = require('node:fs');
      const folder = ${JSON.stringify(join(path, '..'))} + '/.data.bin.' + process.pid + '.0-0.part';
      mkdirSync(folder, { recursive: true });
      writeFileSync(folder + '/bytes', Buffer.from(process.argv[1], 'base64'));
      writeFileSync(folder + '/origin.json', JSON.stringify({ url: process.argv[2], validator: '"v1"' }));
      setInterval(() => {}, 1000);
      console.log('begun');`;
    const child = spawn(process.execPath, ['-e', program, bytes.subarray(0, 60_000).toString('base64'), url]);
    await new Promise((begun) => child.stdout.once('data', begun));
    // While it lives, its part is its own.
    asked = [[]];
    await downloadFile(url, { path, checksum });
    expect(asked[1]).toEqual([undefined, undefined]);
    expect(present()).toHaveLength(2);
    await rm(path);
    child.kill('SIGKILL');
    await new Promise((ended) => child.once('close', ended));
    await downloadFile(url, { path, checksum });
    await expectWhole();
    expect(asked[2]).toEqual(['bytes=60000-', '"v1"']);
  });

  test('two at once: both end with the whole file', async () => {
    handler = (request, response) => send(request, response);
    await Promise.all([downloadFile(url, { path, checksum }), downloadFile(url, { path, checksum })]);
    await expectWhole();
  });

  test('a full disk: one message, and nothing is left', async ({ skip }) => {
    const small = join(folder, 'small');
    await mkdir(small, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100k,mode=777', 'tmpfs', small], { stdio: 'ignore' });
    } catch {
      skip('mounting a tmpfs takes root');
    }
    try {
      handler = (request, response) => send(request, response);
      const error = await rejection(downloadFile(url, { path: join(small, 'data.bin'), checksum }));
      expect(error).toMatchObject({ code: 'STORAGE_FULL', where: join(small, 'data.bin') });
      expect(readdirSync(small)).toEqual([]);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});

describe('cifar10 from a server', () => {
  const cache = (): string => join(path, '..');
  afterEach(() => expect(present().filter((name) => name.endsWith('.part'))).toEqual([]));

  test('an archive with another checksum is refused, and deleted', async () => {
    handler = (request, response) => send(request, response);
    const error = await rejection(cifar10({ url, cache: cache() }));
    expect(error).toMatchObject({ code: 'DATA_INVALID', where: url });
    expect(error.message).toContain('md5 c32a1d4ab5d03f1284b67883e8d87530');
    expect(present()).toEqual([]);
  });

  test('what the cache holds is held to the checksum too', async () => {
    await mkdir(cache(), { recursive: true });
    await writeFile(join(cache(), 'cifar-10-binary.tar.gz'), 'half of it');
    handler = (_, response) => response.writeHead(404).end();
    const error = await rejection(cifar10({ url, cache: cache() }));
    expect(error).toMatchObject({ code: 'DOWNLOAD_FAILED' });
    expect(error.message).toContain(`-o '${join(cache(), 'cifar-10-binary.tar.gz')}'`);
  });
});

test('the cache folder is the system’s', () => {
  expect(cacheFolder({ XDG_CACHE_HOME: '/caches' }, 'linux')).toBe('/caches/tenon');
  expect(cacheFolder({ XDG_CACHE_HOME: 'relative' }, 'linux')).toMatch(/\/\.cache\/tenon$/);
  expect(cacheFolder({}, 'darwin')).toMatch(/Library\/Caches\/tenon$/);
});
