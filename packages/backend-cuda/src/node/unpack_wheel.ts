/** Takes from a wheel what a build needs: libraries, headers, licences. */
import { mkdirSync } from 'node:fs';
import { basename } from 'node:path';
import { TenonError } from '@tenon-ml/core/errors';
import { lastWords } from './find_tools.js';
import { diskFull } from './machine.js';
import { type RunTool, saysDiskFull } from './tool.js';
import type { Work } from './work.js';

/**
 * Of TensorFlow's wheel a fraction of the files: its libraries, the headers that those of its C interface may include, and
 * licences. Of NVIDIA's, all but headers.
 */
const WANTED = {
  tensorflow:
    '^tensorflow/(lib[^/]*\\.so[^/]*$|LICENSE|THIRD_PARTY|include/(LICENSE|tensorflow/(c|core)/|tsl/|xla/tsl/|absl/|third_party/))|^[^/]*\\.dist-info/(?!RECORD$)',
  nvidia: '^nvidia/(?!.*/include/)|^[^/]*\\.dist-info/(?!RECORD$)',
} as const;

/** Python, as pip comes with it: it reads zips of any size, and checks the sums of what it unpacks. */
const SCRIPT = `
import json, re, sys, zipfile, zlib
wheel, folder, wanted = sys.argv[1:4]
answer = {}
try:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.search(wanted, name)]
        archive.extractall(folder, names)
        metadata = [name for name in names if re.match(r'[^/]*\\.dist-info/METADATA$', name)]
        answer['metadata'] = archive.read(metadata[0]).decode('utf-8', 'replace') if metadata else ''
except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
    answer['damaged'] = str(error)
print(json.dumps(answer))
`;

/** Unpacks a wheel into a folder and returns its METADATA. Throws `DATA_INVALID` for a damaged one, and `STORAGE_FULL`. */
export async function unpackWheel(
  wheel: string,
  folder: string,
  kind: keyof typeof WANTED,
  tools: { readonly python: string; readonly run: RunTool; readonly work: Work },
): Promise<string> {
  const { python, run, work } = tools;
  mkdirSync(folder, { recursive: true });
  const ran = await run([python, '-c', SCRIPT, wheel, folder, WANTED[kind]]);
  const answer = parseAnswer(ran.stdout);
  if (ran.code === 0 && answer?.metadata !== undefined) return answer.metadata;
  if (saysDiskFull(ran.output)) throw diskFull(work.cache);
  if (answer?.damaged !== undefined) {
    throw new TenonError({
      code: 'DATA_INVALID',
      where: wheel,
      expected: 'a whole wheel',
      got: `a damaged one (${answer.damaged})`,
      hint: 'Fetch it again: it may have been cut off on its way.',
    });
  }
  throw new TenonError({
    code: 'BACKEND_UNAVAILABLE',
    where: basename(wheel),
    message: `${python} could not unpack the wheel`,
    hint: lastWords(ran.output, work).trim(),
  });
}

function parseAnswer(stdout: string): { metadata?: string; damaged?: string } | undefined {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  } catch {
    return undefined;
  }
}
