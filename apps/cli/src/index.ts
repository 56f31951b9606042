/** Runs a command line of `tenon` in this process, and returns its exit code. */
export { main } from './program.js';
