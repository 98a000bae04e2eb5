// docs/cli.md, written from the table of commands and their schemas.
// Knows no terminal; a test keeps the committed file current.

import type { CommandEntry } from './command-entry.js';
import { exitCodes } from './failure.js';
import { type Flag, flagsOf, flagTerm, showDefault } from './flags.js';
import { generalFlags } from './program.js';

/** The whole document, Markdown. */
export function renderDocs(commands: readonly CommandEntry[]): string {
  return [introduction(commands), ...commands.map(commandSection)].join('\n');
}

function introduction(commands: readonly CommandEntry[]): string {
  return `# Command line

This file is generated from the options' schemas (src/commands/options.ts): \`npx vitest run test/cli/docs.test.ts -u\`.

    malmen COMMAND [options]

${table(
  ['command', 'what it does'],
  commands.map(({ name, description }) => [`[${name}](#malmen-${name})`, description]),
)}

Every command also takes:

${table(
  ['flag', 'meaning'],
  generalFlags.map(({ term, help }) => [`\`${term}\``, help]),
)}

- A flag wins over the settings file, which wins over the default. Unknown flags and keys are errors.
- Switches are written \`--force\` or \`--no-force\`. Lists are repeated or separated by commas.
- Notes and tables go to stdout, progress and warnings to stderr. With \`--json\` stdout holds one JSON object: the
  result, or \`{ "error": { "code", "message" } }\`.
- Ctrl-C stops after the current step and saves what can be resumed; a second Ctrl-C stops at once.
- Colours are for terminals only; \`NO_COLOR\` switches them off, \`FORCE_COLOR\` on.
- Exit codes: ${exitCodes.done} done, ${exitCodes.failed} failed, ${exitCodes.usage} wrong flags or options, ${exitCodes.bug} a bug, ${exitCodes.interrupted} interrupted.
`;
}

function commandSection(entry: CommandEntry): string {
  const flags = flagsOf(entry.schema, entry.positional);
  const argument = entry.positional === undefined ? '' : ` ${entry.positional.toUpperCase()}`;
  return `## malmen ${entry.name}

    malmen ${entry.name}${argument} [options]

${capital(entry.description)}.

${table(['option', 'default', 'meaning'], flags.map(flagRow))}

${entry.examples.map(({ line, meaning }) => `${capital(meaning)}:\n\n    malmen ${line}\n`).join('\n')}`;
}

function flagRow(flag: Flag): string[] {
  const value = flag.default === undefined ? '' : `\`${showDefault(flag)}\``;
  const choices =
    !flag.positional || flag.choices.length === 0
      ? ''
      : `: ${flag.choices.map((choice) => `\`${choice}\``).join(', ')}`;
  return [`\`${flagTerm(flag)}\``, flag.required ? '**required**' : value, `${flag.description}${choices}`];
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), `|${'---|'.repeat(heads.length)}`, ...rows.map(line)].join('\n');
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
