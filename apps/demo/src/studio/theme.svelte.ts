import { recall, remember } from '../i18n/language.svelte.js';

export type Theme = 'auto' | 'light' | 'dark';
const kept = 'tenon-theme';

export class ThemeChoice {
  current = $state<Theme>(initial());

  choose(theme: Theme): void {
    this.current = theme;
    remember(kept, theme);
    this.apply();
  }

  apply(): void {
    const { dataset } = document.documentElement;
    if (this.current === 'auto') delete dataset.theme;
    else dataset.theme = this.current;
  }
}

function initial(): Theme {
  const theme = recall(kept);
  return theme === 'light' || theme === 'dark' ? theme : 'auto';
}
