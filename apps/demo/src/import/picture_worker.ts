import { type DecodeAnswer, type DecodeRequest, decodePicture } from './picture_decoder.js';

addEventListener('message', async ({ data }: MessageEvent<DecodeRequest>) => {
  const pixels = await decodePicture(data.file, data.side, data.channels);
  const answer: DecodeAnswer = { id: data.id, pixels };
  // A worker's, not a window's: its second argument is what is handed over.
  (postMessage as (message: DecodeAnswer, transfer: Transferable[]) => void)(
    answer,
    pixels === null ? [] : [pixels.buffer],
  );
});
