/** The folder of this file, which code inside a bundle can't find by itself. */
export const benchFolder: string;
/** Bundles a TypeScript file on the packages' sources, for Node, and gives the bundle's path; the caller removes it. */
export function bundle(entry: string): Promise<string>;
