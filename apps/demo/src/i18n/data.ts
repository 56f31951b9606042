import { inBoth } from './texts.js';

export const data = inBoth({
  en: { title: 'data' },
  zh: { title: 'data' },
});
