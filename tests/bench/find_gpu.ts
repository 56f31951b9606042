/** Says in JSON what `webgpu()` computes on here, and whether that is in software; or why there is none. For test:gpu. */
import { webgpu } from '@tenon-ml/backend-webgpu';
import { isTenonError } from '@tenon-ml/core';

const backend = webgpu();
try {
  const { device, features } = await backend.init();
  console.log(JSON.stringify({ device, software: features.software }));
  await backend.dispose();
} catch (error) {
  if (!isTenonError(error)) throw error;
  console.log(JSON.stringify({ missing: error.message }));
}
process.exit(0);
