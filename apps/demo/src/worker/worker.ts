/** What runs beside the page: data, networks, training, and looking into models. Each run has a worker of its own. */
import { expose } from 'comlink';
import { keepErrorCodes } from './calls.js';
import { createDesk } from './desk.js';
import { createRunHost } from './run.js';
import { createSubjectHost } from './subject_host.js';

keepErrorCodes();

const host = createRunHost();
const { inside: _, origin: __, saved: ___, ...run } = host;
const studioWorker = { desk: createDesk(), run, subject: createSubjectHost(host) };

export type StudioWorker = typeof studioWorker;

expose(studioWorker);
