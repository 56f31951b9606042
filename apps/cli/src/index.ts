export { main } from './program.js';
export { recipes } from './recipes/index.js';
