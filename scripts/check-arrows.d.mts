/** The wrong arrows of the workspace at `root`, one line each. */
export function checkArrows(root: string): string[];
