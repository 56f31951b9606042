/**
 * Draws the validation accuracy of runs of ours and of Keras against the epoch, and prints the table beside it:
 *
 *     node tests/parity/curves.mjs OUT.svg --ours RUN… --keras FILE.jsonl
 *
 * RUN is a folder that `tenon train cifar10-cnn` wrote; FILE.jsonl holds lines that keras_cifar10.py printed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [out, ...rest] = process.argv.slice(2);
const after = (flag) => {
  const from = rest.indexOf(flag) + 1;
  const to = rest.findIndex((word, i) => i >= from && word.startsWith('--'));
  return from === 0 ? [] : rest.slice(from, to < 0 ? undefined : to);
};

const ours = after('--ours').map((folder) => {
  const { history, best, test } = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
  const { seed } = JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8'));
  const validation = history.map((epoch) => epoch.validation.accuracy);
  return { who: 'tenon', seed, validation, best: best.epoch + 1, test };
});
const keras = after('--keras').flatMap((file) =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ seed, curve, best, test }) => ({
      who: 'keras',
      seed,
      validation: curve.val_accuracy,
      best: best.epoch,
      test,
    })),
);
const runs = [...ours, ...keras];
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

console.log(
  '| | seed | epoch kept | validation accuracy | test accuracy | test loss |\n|---|---|---|---|---|---|',
);
for (const { who, seed, best, validation, test } of runs) {
  const figures = [validation[best - 1], test.accuracy, test.loss].map((value) => value.toFixed(4));
  console.log(`| ${who} | ${seed} | ${best} | ${figures.join(' | ')} |`);
}
for (const [who, of] of [
  ['tenon', ours],
  ['keras', keras],
]) {
  if (of.length > 0)
    console.log(`| ${who}, mean | | | | ${mean(of.map(({ test }) => test.accuracy)).toFixed(4)} | |`);
}

const [width, height, left, bottom] = [640, 360, 52, 40];
const epochs = Math.max(...runs.map(({ validation }) => validation.length));
const values = runs.flatMap(({ validation }) => validation);
const [low, high] = [Math.floor(Math.min(...values) * 20) / 20, Math.ceil(Math.max(...values) * 20) / 20];
const x = (epoch) => left + ((epoch - 1) / Math.max(1, epochs - 1)) * (width - left - 16);
const y = (value) => 16 + ((high - value) / (high - low)) * (height - bottom - 16);
const lines = [];
for (let value = low; value <= high + 1e-9; value += 0.05) {
  lines.push(`<path d="M${left} ${y(value).toFixed(1)}H${width - 16}" stroke="#8884"/>`);
  lines.push(
    `<text x="${left - 8}" y="${(y(value) + 4).toFixed(1)}" text-anchor="end">${value.toFixed(2)}</text>`,
  );
}
for (let epoch = 1; epoch <= epochs; epoch++) {
  lines.push(`<text x="${x(epoch).toFixed(1)}" y="${height - 20}" text-anchor="middle">${epoch}</text>`);
}
lines.push(`<text x="${width / 2}" y="${height - 4}" text-anchor="middle">epoch</text>`);
const colours = { tenon: '#d9480f', keras: '#1c7ed6' };
for (const { who, validation } of runs) {
  const points = validation.map((value, i) => `${x(i + 1).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  lines.push(`<polyline points="${points}" fill="none" stroke="${colours[who]}" stroke-width="1.8"/>`);
}
for (const [i, who] of Object.keys(colours).entries()) {
  const at = height - bottom - 44 + 20 * i;
  lines.push(`<path d="M${width - 150} ${at}h28" stroke="${colours[who]}" stroke-width="2.5"/>`);
  lines.push(`<text x="${width - 114}" y="${at + 4}">${who}</text>`);
}
const style = '<style>text{font:12px sans-serif;fill:#777}</style>';
const title = '<title>Validation accuracy by epoch</title>';
writeFileSync(
  out,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">${title}${style}\n${lines.join('\n')}\n</svg>\n`,
);
