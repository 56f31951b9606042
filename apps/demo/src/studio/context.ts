import { createContext } from 'svelte';
import type { Studio } from './studio.svelte.js';

/** The studio that a component belongs to; `App` makes it. */
export const [getStudio, setStudio] = createContext<Studio>();
