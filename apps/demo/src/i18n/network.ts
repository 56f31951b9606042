import { inBoth } from './texts.js';

export const network = inBoth({
  en: { title: 'network' },
  zh: { title: 'network' },
});
