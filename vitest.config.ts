import { workspace } from '@tenon-ml/config/vitest';

export default workspace(import.meta.dirname);
