import type { ArtifactStore } from '@tenon-ml/core';
import { opfsStore } from '@tenon-ml/core/browser';

/** The folder of an experiment's data in the browser's storage; undefined for data that is embedded. */
export async function openData(dataId: string | null): Promise<ArtifactStore | undefined> {
  return dataId === null ? undefined : opfsStore(`data/${dataId}`);
}
