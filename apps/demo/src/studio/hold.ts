/** Tells the browser's other tabs that this one uses something; call what comes back when it no longer does. */
export function holdShared(name: string): () => void {
  let release = (): void => {};
  const until = new Promise<void>((resolve) => {
    release = resolve;
  });
  // Absent where the page has no storage either.
  void (navigator.locks as LockManager | undefined)?.request(name, { mode: 'shared' }, () => until);
  return release;
}
