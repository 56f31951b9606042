import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { Plugin } from 'vite';

/** Not kept: the worker itself, a file for the host, and the sample text, which few people ask for. */
const left = ['offline.js', '_headers', 'plays.txt'];

/**
 * Writes the service worker `offline.js` that keeps the files of the build, so that the page works without a network after
 * its first load. Its version is a hash of the files: a new build is a new cache, which takes over once all of it is there.
 */
export function offline(): Plugin {
  let folder = '';
  return {
    name: 'tenon-offline',
    apply: 'build',
    configResolved({ root, build, command }) {
      // Not for the workers, which Vite builds with plugins of their own.
      if (command === 'build') folder = join(root, build.outDir);
    },
    writeBundle() {
      const template = readFileSync(join(import.meta.dirname, 'offline.template.js'), 'utf8');
      const files = readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !left.includes(entry.name))
        .map((entry) => join(entry.parentPath, entry.name))
        .sort();
      const hash = createHash('sha256').update(template);
      for (const file of files) hash.update(file).update(readFileSync(file));
      const paths = files.map((file) => relative(folder, file).split(sep).join('/'));
      const source = template
        .replace('__FILES__', JSON.stringify(['./', ...paths]))
        .replace('__VERSION__', hash.digest('hex').slice(0, 16));
      writeFileSync(join(folder, 'offline.js'), source);
    },
  };
}
