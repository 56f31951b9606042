// Generated from assembly/ by `npm run build:kernels`. Not to be edited.

/** The kernels: what `launch` takes. */
export const kernelNames = [
  'copy',
] as const;

export type KernelName = (typeof kernelNames)[number];

/** The module, 219 bytes, in base64. */
export const kernelsBase64 = [
  'AGFzbQEAAAABDAJgA39/fwBgAn9/AAIgAgNlbnYGbWVtb3J5AgMBgIAEA2VudgV0YWJsZQFwAAEDAwIBAAcXAwRjb3B5AAEDcnVu',
  'AAAGbWVtb3J5AgAKggECNAEBfwNAIAAgAUkEQCAAQQxqIgJBACAAKAIEIAAoAgARAAAgAiAAKAIIQQJ0aiEADAELCwtLAQN/IAAo',
  'AgAhAyAAKAIEIQQgACgCDCIFIAFsIgEgAiAFbCICIAAoAggiACAAIAJKGyIASARAIAEgBGogASADaiAAIAFr/AoAAAsL',
].join('');
