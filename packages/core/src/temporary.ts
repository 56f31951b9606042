const end = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/** The name of a file that isn't finished, beside the one that it will be: `.name.uuid.tmp`. Stores never list it. */
export function temporaryName(name: string, uuid: string): string {
  return `.${name}.${uuid}.tmp`;
}

/** Whether this is a `temporaryName`: of the file `name`, or of any. */
export function isTemporary(file: string, name?: string): boolean {
  if (name === undefined) return file.startsWith('.') && end.test(file.split('.').slice(-2).join('.'));
  const stem = `.${name}.`;
  return file.startsWith(stem) && end.test(file.slice(stem.length));
}
