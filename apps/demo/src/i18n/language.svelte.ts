import { data } from './data.js';
import { drawing } from './drawing.js';
import { errors } from './errors.js';
import { layers } from './layers.js';
import { network } from './network.js';
import { shell } from './shell.js';
import { takeHome } from './take_home.js';
import { training } from './training.js';
import { understanding } from './understanding.js';

export const languages = { en: 'English', zh: '中文' } as const;
export type Language = keyof typeof languages;

function textsOf(language: Language) {
  return {
    shell: shell[language],
    data: data[language],
    network: network[language],
    layers: layers[language],
    training: training[language],
    understanding: understanding[language],
    takeHome: takeHome[language],
    drawing: drawing[language],
    errors: errors[language],
  };
}

export type Texts = ReturnType<typeof textsOf>;

const kept = 'tenon-language';

/** The page's language, and its texts: `language.t.shell.title`. Chosen by the reader, or the browser's first that we have. */
export class LanguageChoice {
  current = $state<Language>(initial());
  readonly t: Texts = $derived(textsOf(this.current));
  private readonly whole = $derived(new Intl.NumberFormat(this.current, { maximumFractionDigits: 0 }));
  private readonly percents = $derived(
    new Intl.NumberFormat(this.current, { style: 'percent', maximumFractionDigits: 1 }),
  );
  private readonly short = $derived(new Intl.NumberFormat(this.current, { maximumSignificantDigits: 4 }));

  private readonly compacts = $derived(
    new Intl.NumberFormat(this.current, { notation: 'compact', maximumSignificantDigits: 3 }),
  );

  choose(language: Language): void {
    this.current = language;
    remember(kept, language);
  }

  /** 1,797 */
  count(value: number): string {
    return this.whole.format(value);
  }

  /** 1.2M, 123万: of large counts what the eye wants to know. */
  compact(value: number): string {
    return this.compacts.format(value);
  }

  /** 98.5 % */
  percent(value: number | null | undefined): string {
    return typeof value === 'number' && Number.isFinite(value) ? this.percents.format(value) : '–';
  }

  /** 0.07573 */
  figure(value: number | null | undefined): string {
    return typeof value === 'number' && Number.isFinite(value) ? this.short.format(value) : '–';
  }

  /** 12.4 MB */
  bytes(value: number): string {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    const power = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3));
    return `${new Intl.NumberFormat(this.current, { maximumSignificantDigits: 3 }).format(value / 1000 ** power)} ${units[power]}`;
  }

  /** 3 min 20 sec, 3分钟 20秒 */
  duration(seconds: number): string {
    const whole = Math.max(0, Math.round(seconds));
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    if (hours > 0) return `${this.unit(hours, 'hour')} ${this.unit(minutes, 'minute')}`;
    const rest = this.unit(whole % 60, 'second');
    return minutes > 0 ? `${this.unit(minutes, 'minute')} ${rest}` : rest;
  }

  private unit(value: number, unit: string): string {
    return new Intl.NumberFormat(this.current, { style: 'unit', unit }).format(value);
  }
}

function initial(): Language {
  const wanted = [recall(kept), ...navigator.languages].map((tag) => tag?.toLowerCase().split('-')[0]);
  return (wanted.find((tag) => tag !== undefined && tag in languages) as Language | undefined) ?? 'en';
}

/** localStorage, where the browser allows it. */
export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // A private window forgets it with the page.
  }
}

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}
