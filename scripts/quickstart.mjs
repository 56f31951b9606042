/** `npm run quickstart [-- ARGS]`: from a fresh clone to a trained network, evaluated and used once. */
import { tenon } from './tenon.mjs';

process.exitCode = await tenon(['quickstart', ...process.argv.slice(2)]);
