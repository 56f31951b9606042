import { expect, test } from 'vitest';
import { Device } from '../src/device.js';
import { fakeDevice } from './fake_gpu.js';

function startDevice() {
  const fake = fakeDevice();
  return { fake, device: new Device(fake.gpu) };
}

test('memory that runs out late is an error of the next read, once', async () => {
  const { fake, device } = startDevice();
  const buffer = device.acquire(64);
  fake.fail('GPUOutOfMemoryError', 'Device memory exhausted');
  await expect(device.read({ buffer, offset: 0, size: 64 })).rejects.toMatchObject({
    code: 'OUT_OF_MEMORY',
    message:
      'webgpu: the GPU has no memory left (Device memory exhausted). Use a smaller batch, or close what else uses the GPU.',
  });
  expect((await device.read({ buffer, offset: 0, size: 64 })).byteLength).toBe(64);
});

test('it is an error of the read under way, too', async () => {
  const { fake, device } = startDevice();
  const reading = device.read({ buffer: device.acquire(64), offset: 0, size: 64 });
  fake.fail('GPUOutOfMemoryError', 'Device memory exhausted');
  await expect(reading).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
});

test('of several failures, the first is told; a refused command is a defect', async () => {
  const { fake, device } = startDevice();
  const buffer = device.acquire(64);
  fake.fail('GPUValidationError', 'Binding size is zero');
  fake.fail('GPUValidationError', 'Invalid command buffer');
  await expect(device.read({ buffer, offset: 0, size: 64 })).rejects.toMatchObject({
    code: 'BACKEND_FAILED',
    message: expect.stringContaining('the GPU refused a command: Binding size is zero'),
  });
  await device.read({ buffer, offset: 0, size: 64 });
});

test('a device that is lost says so to whatever is asked of it, and can be put away', async () => {
  const { fake, device } = startDevice();
  const buffer = device.acquire(64);
  await fake.lose('unknown', 'The driver was reset');
  const gone = expect.objectContaining({
    code: 'DEVICE_LOST',
    message:
      'webgpu: the GPU is gone (The driver was reset), and every tensor on it. Start the backend again (dispose, init) and go on from the last checkpoint.',
  });
  for (let i = 0; i < 2; i++) {
    expect(() => device.acquire(64)).toThrow(gone);
    await expect(device.read({ buffer, offset: 0, size: 64 })).rejects.toEqual(gone);
  }
  device.release(buffer);
  await device.idle();
  device.dispose();
});

test('a device that is put away is not lost', async () => {
  const { fake, device } = startDevice();
  device.dispose();
  await fake.lose('destroyed', '');
  expect(() => device.checkAlive()).not.toThrow();
});
