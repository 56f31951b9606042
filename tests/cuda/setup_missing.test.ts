import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { expectRefusal, makeFolder, makePath, makeProgram, ready } from './caches.js';

describe.skipIf(!ready)('what is missing', () => {
  test('a compiler: the names that were tried, and how to get one', async () => {
    const PATH = await makePath([
      'node',
      'npm',
      'python3',
      'python',
      'tar',
      'sh',
      'env',
      'bash',
      'cat',
      'pyenv',
    ]);
    const python = execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' });
    await expectRefusal(
      ['--python', python.trim()],
      'BACKEND_UNAVAILABLE',
      /^Error: expected a compiler of C\+\+17, got none: c\+\+ was not found; g\+\+ was not found; clang\+\+ was not found\. Install one \(Debian and Ubuntu: apt-get install g\+\+;.*--compiler\.$/m,
      { PATH },
    );
  });

  test('a Python: the names that were tried, and how to get one', async () => {
    const PATH = await makePath(['node', 'npm', 'c++', 'as', 'ld', 'tar']);
    await expectRefusal(
      [],
      'BACKEND_UNAVAILABLE',
      /^Error: expected a Python 3 with pip, .*got none: python3 was not found; python was not found\. Install them \(Debian and Ubuntu: apt-get install python3-pip;.*--python\. With --libtensorflow no Python is needed\.$/m,
      { PATH },
    );
  });

  test('both: one message', async () => {
    await expectRefusal(
      [],
      'BACKEND_UNAVAILABLE',
      /^Error: 2 things are missing\.\n {2}- expected a compiler.*\n {2}- expected a Python.*$/m,
      {
        PATH: await makePath(['node', 'npm']),
      },
    );
  });

  test('pip', async () => {
    const folder = await makeFolder('no-pip');
    execFileSync('python3', ['-m', 'venv', '--without-pip', folder]);
    await expectRefusal(
      ['--python', join(folder, 'bin/python')],
      'BACKEND_UNAVAILABLE',
      /^Error: --python: expected a Python 3 with pip.*python \(Python 3\.\S+\) has no pip\. Install it/m,
    );
  });

  test.each<[string, string, string, RegExp]>([
    [
      'a compiler that fails',
      '--compiler',
      'echo "fatal error: no C++17 here" >&2; exit 1',
      /can't compile C\+\+17.*setup\.log:\n {4}fatal error: no C\+\+17 here$/m,
    ],
    [
      'a Python that is none',
      '--python',
      'echo "I am a snake"',
      /is no Python that runs.*setup\.log:\n {4}I am a snake$/m,
    ],
    ['a Python 2', '--python', 'echo 2.7.18', /is Python 2\.7\.18\./],
  ])('%s', async (_, flag, lines, message) => {
    await expectRefusal([flag, await makeProgram('program', lines)], 'BACKEND_UNAVAILABLE', message);
  });

  test('a compiler for another machine', async (context) => {
    const lines =
      'case "$*" in *--version*) echo other; exit;; esac; for last; do :; done; printf "\\177ELF%014d\\267\\0" 0 > "$last"';
    if (process.arch !== 'x64') return context.skip();
    const compiler = await makeProgram('aarch64-linux-gnu-g++', lines);
    await expectRefusal(
      ['--compiler', compiler],
      'BACKEND_UNAVAILABLE',
      /aarch64-linux-gnu-g\+\+ compiles for arm64/,
    );
  });
});

describe.skipIf(!ready)('what will not do', () => {
  test('an older version: said before anything is run', async () => {
    await expectRefusal(
      ['--tensorflow', '2.15.0'],
      'INVALID_ARGUMENT',
      /^Error: --tensorflow: expected TensorFlow 2\.21 or newer, got 2\.15\.0\. Leave --tensorflow out for 2\.21\.x, which was tested\.$/m,
    );
  });

  test('a libtensorflow that is too old, or that will not load', async () => {
    const folder = await makeFolder('old');
    await mkdir(join(folder, 'include/tensorflow/c/eager'), { recursive: true });
    await writeFile(join(folder, 'include/tensorflow/c/eager/c_api.h'), '');
    await mkdir(join(folder, 'lib'));
    const source = join(folder, 'old.cc');
    for (const [name, code] of [
      ['libtensorflow_framework.so.2', ''],
      ['libtensorflow.so.2', 'extern "C" const char* TF_Version() { return "2.15.0"; }'],
    ]) {
      await writeFile(source, code);
      execFileSync('c++', ['-shared', '-fPIC', source, '-o', join(folder, 'lib', name)]);
    }
    await expectRefusal(
      ['--libtensorflow', folder],
      'INVALID_ARGUMENT',
      /\/lib: expected TensorFlow 2\.21 or newer, got 2\.15\.0/,
    );
    await writeFile(source, 'extern "C" void missing(); void run() { missing(); }');
    execFileSync('c++', ['-shared', '-fPIC', source, '-o', join(folder, 'lib/libtensorflow.so.2')]);
    await expectRefusal(
      ['--libtensorflow', folder],
      'BACKEND_UNAVAILABLE',
      /its libraries can't be loaded\. The last lines of .*setup\.log:\n.*undefined symbol: missing$/m,
    );
  }, 60_000);
});
