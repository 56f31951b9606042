import { describeJoins } from './subgroups_cases.js';

describeJoins(
  'absent',
  ({ features }) => ({ features: new Set([...features].filter((feature) => feature !== 'subgroups')) }),
  false,
);
