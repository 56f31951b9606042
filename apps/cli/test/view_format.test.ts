import { expect, test } from 'vitest';
import {
  formatCount,
  formatDuration,
  formatFigures,
  formatLearningRate,
  formatLoss,
  formatMetric,
  formatRate,
} from '../src/view/format.js';

test.each([
  [0.345678, '0.3457'],
  [2.302612, '2.303'],
  [123.456, '123.5'],
  [12345.6, '12346'],
  [0.0001234, '0.0001234'],
  [0.00001234, '1.234e-5'],
  [7654321, '7.654e+6'],
  [0, '0.000'],
  [-0.5, '-0.5000'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, 'Infinity'],
])('the loss %d is %s', (value, text) => {
  expect(formatLoss(value)).toBe(text);
});

test.each([
  [0.977777, '0.9778'],
  [1, '1.0000'],
  [0, '0.0000'],
  [-0.25, '-0.2500'],
  [12.3456, '12.35'],
  [0.00001, '1.000e-5'],
])('the metric %d is %s', (value, text) => {
  expect(formatMetric(value)).toBe(text);
});

test.each([
  [0, '0.0s'],
  [2.14, '2.1s'],
  [9.94, '9.9s'],
  [9.96, '10s'],
  [59.4, '59s'],
  [59.6, '1m 00s'],
  [65, '1m 05s'],
  [3599.6, '1h 00m'],
  [7620, '2h 07m'],
  [90000, '1d 01h'],
  [-1, '0.0s'],
])('%d seconds are %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text);
});

test('rates, counts and learning rates are as long as they need to be', () => {
  expect([formatRate(3.72), formatRate(1234.5), formatCount(1234567)]).toEqual(['3.7', '1,235', '1,234,567']);
  expect([1e-3, 0.00075123, 7.5e-7, 0].map(formatLearningRate)).toEqual(['0.001', '0.000751', '7.5e-7', '0']);
});

test('figures are numbers, the loss in its own format; what is no number is left out', () => {
  expect(formatFigures({ loss: 1.5, accuracy: 0.5, confusionMatrix: [[1, 2]], auc: null })).toEqual([
    ['loss', '1.500'],
    ['accuracy', '0.5000'],
  ]);
});
