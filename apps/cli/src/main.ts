#!/usr/bin/env node
import { outliveReader } from './output.js';
import { main } from './program.js';

for (const stream of [process.stdout, process.stderr]) outliveReader(stream);

process.exitCode = await main(process.argv.slice(2));
