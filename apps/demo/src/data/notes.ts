import type { Texts } from '../i18n/language.svelte.js';
import type { ImportNote } from '../import/import_files.js';

/** What an import has to tell, in words. */
export function noteText(t: Texts['data'], note: ImportNote): string {
  switch (note.code) {
    case 'IGNORED':
      return t.notes.ignored(some(note.files));
    case 'UNREADABLE':
      return t.notes.unreadable(some(note.files));
    case 'DELIMITER':
      return t.notes.delimiter(note.delimiter === '\t' ? t.notes.tab : note.delimiter);
    case 'DECIMAL_COMMAS':
      return t.notes.decimalCommas(some(note.columns));
  }
}

/** The first of many names, and how many there are. */
function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown}, … (${names.length})` : shown;
}
