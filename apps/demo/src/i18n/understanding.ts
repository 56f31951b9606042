import { inBoth } from './texts.js';

export const understanding = inBoth({
  en: { title: 'understanding' },
  zh: { title: 'understanding' },
});
