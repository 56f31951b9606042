import { library } from '@tenon-ml/config/tsup';

export default library({
  entry: ['src/index.ts', 'src/node/index.ts'],
});
