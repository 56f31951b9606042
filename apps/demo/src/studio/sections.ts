export const sections = ['data', 'network', 'training', 'understanding', 'takeHome'] as const;
export type Section = (typeof sections)[number];

/** The section that an address names: `#training`. */
export function sectionOf(hash: string): Section | null {
  const name = hash.replace(/^#/, '');
  return sections.find((section) => section === name) ?? null;
}
