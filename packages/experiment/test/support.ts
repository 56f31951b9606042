import { type ExperimentDocument, type PresetId, presets } from '../src/index.js';

export function preset(id: PresetId): ExperimentDocument {
  const found = presets.find((one) => one.id === id);
  if (!found) throw new Error(id);
  return found.document;
}
