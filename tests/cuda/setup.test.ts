import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { requires } from '@tenon-ml/testkit';
import { beforeAll, describe, expect, test } from 'vitest';
import { filesIn, lastJson, runNode } from '../e2e/tenon.js';
import {
  base,
  expectError,
  expectInOrder,
  expectSetUp,
  loaded,
  makeCache,
  makeFolder,
  makeWheel,
  ready,
  setup,
  slow,
  smallFiles,
  wheelInfo,
} from './caches.js';

const root = resolve(import.meta.dirname, '../..');
const libraries = join(base, 'tensorflow/cpu-2.21.0/tensorflow');

/** Every file of folders with when it was changed. */
async function times(...folders: string[]): Promise<string[]> {
  const lines: string[] = [];
  for (const folder of folders) {
    for (const name of await readdir(folder, { recursive: true })) {
      lines.push(`${join(folder, name)} ${(await stat(join(folder, name))).mtimeMs}`);
    }
  }
  return lines.sort();
}

describe.skipIf(!ready)('setting up', () => {
  test('asks pip and npm for what it needs, builds, and says how to go on', async () => {
    const cache = await makeCache('index');
    const { stderr, result } = await expectSetUp(cache);
    expect(stderr).toMatch(
      /^Setting up TensorFlow for the CPU: as --device says\.\n {2}checked .*, Python 3.*: [\d.]+ s\n {2}fetching TensorFlow 2\.21\.x with pip, some 300 MB …\n(.*so far\n)*? {2}fetched 2\.21\.\d+: [\d.]+ s\n/,
    );
    expect(stderr).toMatch(/ {2}built the binding: [\d.]+ s\n {2}tried it: [\d.]+ s\n$/);
    expect(result).toMatchObject({
      cached: false,
      gpu: false,
      build: { format: 1, flavour: 'cpu', binding: '4.22.0', platform: 'linux', architecture: process.arch },
    });
    // What a build needs, and none of the rest of the gigabyte.
    const { libraries: at } = result.build as { libraries: string };
    const names = await filesIn(at);
    expect(names).toContain('include/tensorflow/c/eager/c_api.h');
    expect(names.filter((name) => !name.startsWith('include/')).sort()).toEqual([
      'THIRD_PARTY_NOTICES.txt',
      'libtensorflow_cc.so.2',
      'libtensorflow_framework.so.2',
    ]);
    const folder = String(result.folder);
    expect(await loaded(process.execPath, folder)).toMatch(/^2\.21\./);
    expect((await readdir(folder)).sort()).toEqual(['binding', 'build.json', 'dist', 'lib', 'package.json']);
    expect(JSON.parse(await readFile(join(folder, 'build.json'), 'utf8'))).toEqual(result.build);
  }, 120_000);

  test('again is quick, and needs neither compiler, Python nor npm', async () => {
    const began = performance.now();
    const { result, stderr } = await expectSetUp(base, [], { PATH: '/nowhere' });
    expect(result).toMatchObject({ cached: true });
    expect(stderr).not.toContain('fetch');
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  test.each(['22', '24'])(
    'once serves Node %s too',
    async (version) => {
      const args = ['--yes', '--prefer-offline', `node@${version}`, '--print', 'process.execPath'];
      const found = await promisify(execFile)('npx', args).catch(() => undefined);
      if (!requires(found, `Node ${version}, which npx fetches`)) return;
      const node = String(found?.stdout).trim();
      expect((await promisify(execFile)(node, ['--version'])).stdout).toMatch(`v${version}.`);
      const { result } = await expectSetUp(base);
      expect(await loaded(node, String(result.folder))).toMatch(/^2\.21\./);
    },
    120_000,
  );

  slow(
    'from a wheel for another Python, which pip finds',
    async () => {
      const folder = await makeFolder('python');
      const own = await promisify(execFile)('python3', ['-c', 'import sys; print(sys.version_info[1])']);
      const tag = own.stdout.trim() === '12' ? 'cp313' : 'cp312';
      const platform = `manylinux_2_27_${process.arch === 'x64' ? 'x86_64' : 'aarch64'}`;
      await makeWheel(
        folder,
        `tensorflow_cpu-2.21.0-${tag}-${tag}-${platform}.whl`,
        smallFiles('tensorflow-cpu'),
      );
      const env = { PIP_CONFIG_FILE: '/dev/null', PIP_NO_INDEX: '1', PIP_FIND_LINKS: folder };
      const ended = await setup(await makeCache('other-python'), [], env).ended;
      // It got as far as to the libraries, which are none.
      expectError(ended, 'BACKEND_UNAVAILABLE', /cp31\d-manylinux.*whl: its libraries can't be loaded/);
    },
    60_000,
  );
});

describe.skipIf(!ready)('a build that is there', () => {
  let cache: string;
  beforeAll(async () => {
    cache = await makeCache('there', 'built');
  });

  test('is made again with --force, and the one before goes with the next set-up', async () => {
    const first = await expectSetUp(cache);
    const second = await expectSetUp(cache, ['--force']);
    expect(second.result).toMatchObject({ cached: false });
    expect(second.result.folder).not.toBe(first.result.folder);
    expect((await expectSetUp(cache)).result).toMatchObject({ cached: true, folder: second.result.folder });
    expect(await readdir(join(cache, 'builds'))).toHaveLength(1);
  }, 60_000);

  test('and is damaged is made again, which is said', async () => {
    const { build } = JSON.parse(await readFile(join(cache, 'current.json'), 'utf8'));
    const damaged = join(cache, 'builds', build);
    await writeFile(join(damaged, 'lib/napi-v8/tfjs_binding.node'), 'not a library');
    const ended = await setup(cache).ended;
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stderr).toMatch(
      /the build that is there doesn't work any more, so it is built again \(the binding can't be loaded\.\)/,
    );
    expect(lastJson(ended)).toMatchObject({ cached: false });
    // The next set-up removes the damaged one.
    await setup(cache).ended;
    await expectInOrder(cache);
  }, 60_000);

  test('is undone, wholly, and once', async () => {
    const undone = await setup(cache, ['--remove']).ended;
    expect([undone.code, undone.stderr]).toEqual([0, '']);
    expect(lastJson(undone)).toMatchObject({ folder: cache });
    expect(Number(lastJson(undone).bytes)).toBeGreaterThan(800e6);
    await expect(readdir(cache)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(lastJson(await setup(cache, ['--remove']).ended)).toMatchObject({ bytes: 0 });
  }, 60_000);
});

describe.skipIf(!ready)('a libtensorflow of the user', () => {
  test('as Python has it is used where it is, without Python, and does not change', async () => {
    const cache = await makeCache('given');
    const before = await times(libraries);
    const env = { PATH: (process.env.PATH ?? '').replaceAll(/[^:]*pyenv[^:]*:/g, '') };
    const { result, stderr } = await expectSetUp(cache, ['--libtensorflow', libraries], env);
    expect(result.build).toMatchObject({ libraries, tensorflow: '2.21.0' });
    expect(stderr).toContain(`TensorFlow 2.21.0 is in ${libraries}`);
    expect(stderr).not.toContain('Python');
    expect(await readdir(cache)).not.toContain('tensorflow');
    expect(await times(libraries)).toEqual(before);
    expect((await expectSetUp(cache, ['--libtensorflow', libraries])).result).toMatchObject({ cached: true });
  }, 60_000);

  test('as the C library is published', async () => {
    const folder = await makeFolder('c');
    await mkdir(join(folder, 'lib'));
    await symlink(join(libraries, 'include'), join(folder, 'include'));
    const names = { 'libtensorflow.so.2': 'libtensorflow_cc.so.2', 'libtensorflow_framework.so.2': '' };
    for (const [name, other] of Object.entries(names)) {
      await symlink(join(libraries, other || name), join(folder, 'lib', name));
    }
    const { result } = await expectSetUp(await makeCache('given-c'), ['--libtensorflow', folder]);
    expect(result.build).toMatchObject({ libraries: join(folder, 'lib'), tensorflow: '2.21.0' });
  }, 60_000);
});

/** Wheels as they are published for GPUs, with the CPU's libraries in them, and next to nothing in NVIDIA's. */
describe.skipIf(!ready || process.arch !== 'x64')('for GPUs', () => {
  const file = 'tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl';
  const requirements = [
    'numpy>=1.26.0',
    'nvidia-cublas-cu12<13.0,>=12.5.3.2; extra == "and-cuda"',
    'nvidia-nccl-cu12<3.0,>=2.27.7; extra == "and-cuda"',
  ];
  const makeNccl = (folder: string): Promise<string> =>
    makeWheel(folder, 'nvidia_nccl_cu12-2.28.3-py3-none-manylinux_2_18_x86_64.whl', {
      'nvidia/nccl/lib/libnccl.so.2': 'a library',
      ...wheelInfo('nvidia-nccl-cu12', '2.28.3'),
    });

  test("without one of NVIDIA's packages, it says which", async () => {
    const folder = await makeFolder('gpu-missing');
    await makeWheel(folder, file, smallFiles('tensorflow', { requirements }));
    await makeNccl(folder);
    const cache = await makeCache('gpu-missing');
    const ended = await setup(cache, ['--device', 'gpu', '--wheel-dir', folder]).ended;
    expectError(
      ended,
      'BACKEND_UNAVAILABLE',
      /--wheel-dir: expected a wheel of nvidia-cublas-cu12<13\.0,>=12\.5\.3\.2 for Linux x64 in .*, got none/,
    );
    expect(await readdir(cache)).toEqual(['setup.log']);
  }, 60_000);

  slow(
    "NVIDIA's libraries lie beside TensorFlow's; where it sees no GPU, the build is kept, and that is said",
    async () => {
      const folder = await makeFolder('gpu');
      const names = (await filesIn(libraries)).map((name) => join('tensorflow', name));
      await makeWheel(folder, file, {
        ...Object.fromEntries(names.map((name) => [name, { path: join(libraries, '..', name) }])),
        ...wheelInfo('tensorflow', '2.21.0', requirements),
      });
      await makeNccl(folder);
      await makeWheel(folder, 'nvidia_cublas_cu12-12.9.1.4-py3-none-manylinux_2_27_x86_64.whl', {
        'nvidia/cublas/lib/libcublas.so.12': 'a library',
        'nvidia/cublas/include/cublas.h': 'a header',
        ...wheelInfo('nvidia-cublas-cu12', '12.9.1.4'),
      });
      const cache = await makeCache('gpu');
      const { result, stderr } = await expectSetUp(cache, ['--device', 'gpu', '--wheel-dir', folder]);
      expect(stderr).toContain("fetching 2 packages of NVIDIA's libraries");
      expect(result).toMatchObject({ gpu: false, build: { flavour: 'gpu', tensorflow: '2.21.0' } });
      const { libraries: at } = result.build as { libraries: string };
      expect(await filesIn(join(at, '../nvidia'))).toEqual([
        'cublas/lib/libcublas.so.12',
        'nccl/lib/libnccl.so.2',
      ]);
    },
    120_000,
  );
});

/** A project of a user, with packages as npm lays them. */
describe.skipIf(!ready)("a user's node_modules", () => {
  slow(
    'is read, never written, and may be installed anew: the build stays',
    async () => {
      const project = await makeFolder('project');
      const modules = join(project, 'node_modules');
      const npm = ['pack', '@tensorflow/tfjs-node-gpu@4.22.0', '--ignore-scripts', '--prefer-offline'];
      const install = async (): Promise<void> => {
        for (const name of ['backend-cuda', 'core']) {
          const to = join(modules, '@tenon-ml', name);
          for (const part of ['package.json', 'dist']) {
            await cp(join(root, 'packages', name, part), join(to, part), { recursive: true });
          }
        }
        const headers = join(root, 'packages/backend-cuda/node_modules/node-api-headers');
        await cp(headers, join(modules, 'node-api-headers'), { recursive: true, dereference: true });
        const peer = join(modules, '@tensorflow/tfjs-node-gpu');
        await mkdir(peer, { recursive: true });
        const { stdout } = await promisify(execFile)('npm', npm, { cwd: project });
        const file = join(project, stdout.trim().split('\n').at(-1) ?? '');
        await promisify(execFile)('tar', ['-xzf', file, '-C', peer, '--strip-components=1']);
      };
      await install();
      const before = await times(modules);
      const cache = await makeCache('project', 'fetched');
      await writeFile(
        join(project, 'set_up.mjs'),
        `import { setupCuda } from '@tenon-ml/backend-cuda/node';
       const { folder } = await setupCuda({ device: 'cpu', cache: ${JSON.stringify(cache)} }, console.error);
       console.log(JSON.stringify({ folder }));`,
      );
      const ended = await runNode([join(project, 'set_up.mjs')], { cwd: project });
      expect(ended.code, ended.stderr).toBe(0);
      // The copy that is installed is used.
      expect(ended.stderr).not.toContain('npm');
      expect(await times(modules)).toEqual(before);
      await rm(modules, { recursive: true });
      await install();
      expect(await loaded(process.execPath, String(lastJson(ended).folder))).toMatch(/^2\.21\./);
    },
    90_000,
  );
});
