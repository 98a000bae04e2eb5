// A program like `malmen` with the fake commands, for tests that need a process or a terminal.

import { runProcess } from '../../src/cli/run-process.js';
import { fakeCommands } from './fake-commands.js';

await runProcess(fakeCommands);
