import { defineKernel, type Kernel } from './kernel.js';

export const chooseKernels: readonly Kernel[] = [
  // With a scalar as its condition, Select gives one of the two as it is.
  defineKernel('Choose', ({ inputs: { condition, yes, no }, ops }) => ops.map('Select', condition, yes, no)),
];
