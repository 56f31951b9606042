import { library } from '@tenon-ml/config/tsup';

export default library({
  entry: ['src/index.ts', 'src/document/index.ts'],
});
