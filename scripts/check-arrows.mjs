/**
 * `npm run check:arrows [-- FOLDER]`: holds the packages to the direction of their arrows (CONTRIBUTING.md):
 * core <- layers, losses, metrics, optimizers, data, explain, backend-*; train -> core, data; experiment -> all of
 * these but explain and the backends; apps -> all.
 *
 * Both manifests and the imports of `src` are read. It also keeps tensors out of data, deep imports out of
 * everything, and Node's modules out of what a neutral entry reaches.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import ts from 'typescript';

const SCOPE = '@tenon-ml/';

/** What the source of a member may depend on. A package that isn't listed is a family: it may use core. */
const ARROWS = {
  core: [],
  train: ['core', 'data'],
  experiment: ['core', 'data', 'layers', 'losses', 'metrics', 'optimizers', 'train'],
};

/** Members that hold no product: the rule doesn't bind them, and nothing published may depend on them. */
const PRIVATE = ['config', 'testkit', 'tests', 'examples'];

/** Entries that may touch Node; every other entry of a package is neutral. */
const NODE_ENTRY = /^\.\/(node|worker)$/;

/** The violations under `root`, one line each. */
export function checkArrows(root) {
  const problems = [];
  for (const group of ['packages', 'apps']) {
    for (const name of readdirSync(join(root, group)).sort()) {
      if (!existsSync(join(root, group, name, 'package.json'))) continue;
      if (PRIVATE.includes(name)) continue;
      const member = { name, app: group === 'apps', folder: join(root, group, name) };
      problems.push(...checkManifest(root, member), ...checkSources(root, member));
    }
  }
  return problems;
}

function allowed(member, target) {
  if (PRIVATE.includes(target)) return false;
  return member.app || (ARROWS[member.name] ?? ['core']).includes(target);
}

function rule(member) {
  if (member.app) return `${member.name} may depend on every published package`;
  const targets = ARROWS[member.name] ?? ['core'];
  return targets.length === 0
    ? `${member.name} depends on no package of ours`
    : `${member.name} may depend on ${targets.join(' and ')} only`;
}

function checkManifest(root, member) {
  const file = join(member.folder, 'package.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8'));
  const problems = [];
  for (const field of ['dependencies', 'peerDependencies', 'optionalDependencies']) {
    for (const [dependency, version] of Object.entries(manifest[field] ?? {})) {
      const where = `${relative(root, file)}: ${field}.${dependency}`;
      if (dependency.startsWith(SCOPE)) {
        const target = dependency.slice(SCOPE.length);
        if (!allowed(member, target)) problems.push(`${where}: ${rule(member)}.`);
        if (version !== 'workspace:*') problems.push(`${where} is ${version}: write workspace:*.`);
        if (field !== 'dependencies') problems.push(`${where}: only tfjs-core is a peer.`);
      } else if (member.name === 'data' && dependency.startsWith('@tensorflow/')) {
        problems.push(`${where}: data holds no tensors.`);
      } else if (!/^(catalog:|\d)/.test(version)) {
        problems.push(`${where} is ${version}: write an exact version, or catalog:.`);
      }
    }
  }
  return problems;
}

function checkSources(root, member) {
  const manifest = JSON.parse(readFileSync(join(member.folder, 'package.json'), 'utf8'));
  const source = join(member.folder, 'src');
  const declared = new Set(
    ['dependencies', 'peerDependencies', 'optionalDependencies'].flatMap((field) =>
      Object.keys(manifest[field] ?? {}),
    ),
  );
  const graph = new Map();
  const problems = [];

  for (const file of sourceFiles(source)) {
    const imports = importsOf(file);
    graph.set(file, imports);
    for (const { specifier, line } of imports) {
      const where = `${relative(root, file)}:${line}: imports ${specifier}`;
      if (specifier.startsWith('.')) {
        const target = resolve(dirname(file), specifier);
        if (!target.startsWith(source + sep) && target !== join(member.folder, 'package.json')) {
          problems.push(`${where}: a relative import may not leave src; import the package by its name.`);
        }
        continue;
      }
      if (isBuiltin(specifier)) continue;
      const dependency = specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
      if (dependency === manifest.name) {
        problems.push(`${where}: a package imports its own files by relative paths.`);
      } else if (dependency.startsWith(SCOPE) && !allowed(member, dependency.slice(SCOPE.length))) {
        problems.push(`${where}: ${rule(member)}.`);
      } else if (member.name === 'data' && dependency.startsWith('@tensorflow/')) {
        problems.push(`${where}: data holds no tensors.`);
      } else if (!declared.has(dependency)) {
        problems.push(`${where}: package.json doesn't list ${dependency} as a dependency.`);
      } else if (dependency.startsWith(SCOPE) && /\/(src|dist)\//.test(specifier)) {
        problems.push(`${where}: import an entry of the package, not a file of it.`);
      }
    }
  }

  if (member.app) return problems;
  for (const [entry, conditions] of Object.entries(manifest.exports ?? {})) {
    const file = typeof conditions === 'object' ? conditions['@tenon-ml/source'] : undefined;
    if (file === undefined || NODE_ENTRY.test(entry)) continue;
    for (const [reached, path] of reachable(graph, join(member.folder, file))) {
      for (const { specifier, line, typeOnly } of graph.get(reached) ?? []) {
        if (!isBuiltin(specifier) || typeOnly) continue;
        const by = path.map((step) => relative(source, step)).join(' -> ');
        problems.push(
          `${relative(root, reached)}:${line}: imports ${specifier}, but the neutral entry ${entry} reaches it (${by}).`,
        );
      }
    }
  }
  return problems;
}

function sourceFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file))
    .sort();
}

/** Every import, re-export and dynamic import of a file, with its line. */
function importsOf(file) {
  const text = readFileSync(file, 'utf8');
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName, pos }) => {
    const before = text.slice(0, pos);
    // The statement's own head tells whether only types are imported.
    const statement = before.slice(Math.max(before.lastIndexOf(';'), before.lastIndexOf('}\n')) + 1);
    return {
      specifier: fileName,
      line: before.split('\n').length,
      typeOnly: /^\s*(import|export)\s+type\b/m.test(statement.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')),
    };
  });
}

function isBuiltin(specifier) {
  return specifier.startsWith('node:') || builtinModules.includes(specifier);
}

/** The files that `entry` reaches by relative imports of values, each with the way there. */
function reachable(graph, entry) {
  const found = new Map([[entry, [entry]]]);
  for (const [file, path] of found) {
    for (const { specifier, typeOnly } of graph.get(file) ?? []) {
      if (typeOnly || !specifier.startsWith('.')) continue;
      const target = resolve(dirname(file), specifier).replace(/\.js$/, '.ts');
      if (!found.has(target)) found.set(target, [...path, target]);
    }
  }
  return found;
}

if (process.argv[1] === import.meta.filename) {
  const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
  const problems = checkArrows(root);
  for (const problem of problems) console.error(problem);
  console.log(
    problems.length === 0 ? 'Every arrow points the right way.' : `${problems.length} wrong arrows.`,
  );
  if (problems.length > 0) process.exitCode = 1;
}
