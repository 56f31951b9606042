/**
 * Writes the declarations of every published package: packages/NAME/src/**.ts becomes packages/NAME/dist/**.d.ts.
 *
 * One program for the whole workspace, resolved from source, takes a few seconds; a rollup of declarations in
 * each package takes as long as that for every one of them. Types are checked elsewhere (`npm run check:types`),
 * so here they are only written.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import ts from 'typescript';
import { publishedPackages, root } from './run.mjs';

const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
const { options } = ts.parseJsonConfigFileContent(
  { ...config, include: [], files: ['none.ts'] },
  ts.sys,
  root,
);
const folders = publishedPackages().map(({ folder }) => join(root, folder));

const entries = folders.flatMap((folder) =>
  readdirSync(join(folder, 'src'), { recursive: true })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, 'src', file)),
);
const program = ts.createProgram(entries, {
  ...options,
  noEmit: false,
  noCheck: true,
  declaration: true,
  declarationMap: true,
  emitDeclarationOnly: true,
});

const problems = [];

/** Where a declaration of `source` belongs. */
const target = (folder, source) =>
  join(folder, 'dist', relative(join(folder, 'src'), source)).replace(/\.ts$/, '.d.ts');

/** A declaration must reach other packages by name: a relative path out of `dist` breaks once published. */
function checkImports(folder, file, text) {
  for (const { fileName } of ts.preProcessFile(text).importedFiles) {
    if (fileName.startsWith('.') && !join(dirname(file), fileName).startsWith(join(folder, 'dist') + sep)) {
      problems.push(
        `${relative(root, file)} refers to ${fileName}: export the type from its package, or annotate.`,
      );
    }
  }
}

for (const folder of folders) {
  const dist = join(folder, 'dist');
  mkdirSync(dist, { recursive: true });
  for (const file of readdirSync(dist, { recursive: true })) {
    if (/\.d\.ts(\.map)?$/.test(file)) rmSync(join(dist, file));
  }
}

for (const source of entries) {
  const folder = folders.find((candidate) => source.startsWith(candidate + sep));
  const file = target(folder, source);
  const { diagnostics } = program.emit(program.getSourceFile(source), (path, text) => {
    mkdirSync(dirname(file), { recursive: true });
    if (path.endsWith('.map')) {
      const map = JSON.parse(text);
      writeFileSync(`${file}.map`, JSON.stringify({ ...map, sources: [relative(dirname(file), source)] }));
    } else {
      checkImports(folder, file, text);
      writeFileSync(file, text);
    }
  });
  for (const diagnostic of diagnostics) {
    problems.push(
      `${relative(root, source)}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n')}`,
    );
  }
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
}
