// The program `malmen`.
// Knows nothing but where it starts.

import { runProcess } from './run-process.js';

await runProcess();
