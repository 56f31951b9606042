import { join } from 'node:path';
import { workspace } from '@tenon-ml/config/vitest';
import { hostProjects } from './tests/hosts/projects.js';

const root = import.meta.dirname;

export default workspace(root, hostProjects(join(root, 'tests')));
