// The command line's grammar: which command was called, with which flags; help texts.
// Runs nothing and judges no value.

import { Argument, Command, type CommanderError, type HelpConfiguration, Option } from 'commander';
import { didYouMean } from '../util/nearest.js';
import { packageVersion } from '../util/package-version.js';
import type { CommandEntry, Example } from './command-entry.js';
import { type Flag, flagHelp, flagsOf, flagTerm, parseValue } from './flags.js';
import { coloursOf, columnsOf, type Terminal } from './terminal.js';
import { UsageError } from './usage-error.js';

/** What one command line asks for. */
export interface Invocation {
  readonly entry: CommandEntry;
  /** What flags and arguments said, by option key. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly general: GeneralOptions;
}

/** Flags that every command has. */
interface GeneralOptions {
  /** The result as one JSON object on stdout. */
  readonly json?: boolean;
  /** Neither progress nor notes. */
  readonly quiet?: boolean;
  /** File with options. */
  readonly settings?: string;
}

/** Rows of help and documentation for {@link GeneralOptions}. */
export const generalFlags = [
  { term: '--json', help: 'print the result, or the error, as one JSON object' },
  { term: '--settings <file>', help: 'YAML or JSON file with these options, keys in camelCase; flags win' },
  { term: '--quiet', help: 'neither progress nor notes' },
] as const;

const generalHeading = 'General options:';
const description =
  'Edit thousands of facts inside a transformer language model at once, by MALMEN, MEND or fine-tuning.';

/**
 * Reads a command line (without node and script name). `undefined` if all it asked for was a help text or the version,
 * which is printed. A wrong flag or command throws a {@link UsageError}.
 */
export function parseArgv(
  argv: readonly string[],
  terminal: Terminal,
  commands: readonly CommandEntry[],
): Invocation | undefined {
  let invocation: Invocation | undefined;
  const program = buildProgram(terminal, commands, (called) => {
    invocation = called;
  });
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!isCommanderError(error)) throw error;
    if (error.exitCode === 0) return undefined;
    throw new UsageError(describeError(error, argv, commands));
  }
  return invocation;
}

function buildProgram(
  terminal: Terminal,
  commands: readonly CommandEntry[],
  called: (invocation: Invocation) => void,
): Command {
  const program = configure(new Command('malmen'), terminal)
    .description(description)
    .usage('COMMAND [options]')
    // The version flag counts before a command only: behind one, '-V' may be an option's value.
    .enablePositionalOptions()
    .version(packageVersion(), '-V, --version', 'print the version')
    .addHelpOption(new Option('-h, --help', 'print this help'))
    .addHelpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', '\nmalmen COMMAND --help lists the options of a command and shows examples.');
  // Subcommands do not inherit what was configured on the program when they are added as objects.
  for (const entry of commands) program.addCommand(configure(buildCommand(entry, called), terminal));
  return program;
}

function configure(command: Command, terminal: Terminal): Command {
  return command
    .exitOverride()
    .showSuggestionAfterError(false)
    .addHelpOption(new Option('-h, --help', 'print this help').helpGroup(generalHeading))
    .configureHelp(helpStyle(terminal))
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      // The caller prints what is wrong, as JSON if asked to.
      writeErr: () => {},
      getOutHelpWidth: () => columnsOf(terminal.stdout),
      getOutHasColors: () => coloursOf(terminal.stdout, terminal.env).isColorSupported,
    });
}

function helpStyle(terminal: Terminal): HelpConfiguration {
  const { bold } = coloursOf(terminal.stdout, terminal.env);
  return {
    styleTitle: (title) => bold(title),
    subcommandTerm: (command) => command.name(),
    optionTerm: (option) => optionTerms.get(option) ?? option.flags,
  };
}

/** What help shows of an option; the parser's own notation knows neither `--[no-]force` nor choices. */
const optionTerms = new WeakMap<Option, string>();

function buildCommand(entry: CommandEntry, called: (invocation: Invocation) => void): Command {
  const flags = flagsOf(entry.schema, entry.positional);
  const command = new Command(entry.name).description(entry.description).usage(usageOf(flags));
  for (const flag of flags) addFlag(command, flag);
  for (const { term, help } of generalFlags) command.addOption(new Option(term, help).helpGroup(generalHeading));
  command.addHelpText('after', `\nExamples:\n${entry.examples.map(exampleText).join('\n')}`);
  return command.action(() => {
    const { json, quiet, settings, ...values } = command.opts<GeneralOptions & Record<string, unknown>>();
    const [argument] = command.processedArgs as unknown[];
    const given = argument === undefined ? values : { ...values, [entry.positional!]: argument };
    called({ entry, given, general: command.opts<GeneralOptions>() });
  });
}

function usageOf(flags: readonly Flag[]): string {
  const positional = flags.find((flag) => flag.positional);
  return positional === undefined ? '[options]' : `${positional.name} [options]`;
}

const exampleText = ({ line, meaning }: Example) => `  # ${meaning}\n  malmen ${line}`;

/** Nothing is mandatory or has a default for the parser: a settings file may give it, the schema decides. */
function addFlag(command: Command, flag: Flag): void {
  const parse = (text: string, previous: unknown) => parseValue(flag, text, previous);
  if (flag.positional) {
    command.addArgument(new Argument(`[${flag.name}]`, flagHelp(flag)).argParser(parse));
    return;
  }
  const isSwitch = flag.kind === 'switch';
  const option = new Option(isSwitch ? flag.name : `${flag.name} <value>`, flagHelp(flag));
  optionTerms.set(option, flagTerm(flag));
  command.addOption(isSwitch ? option : option.argParser(parse));
  if (isSwitch) command.addOption(new Option(flag.name.replace('--', '--no-')).hideHelp());
}

function isCommanderError(error: unknown): error is CommanderError {
  return (
    error instanceof Error && 'exitCode' in error && String((error as CommanderError).code).startsWith('commander.')
  );
}

/** The parser's message, with the nearest known name where a name is wrong. */
function describeError(error: CommanderError, argv: readonly string[], commands: readonly CommandEntry[]): string {
  const message = error.message.replace(/^error: /, '');
  const typed = /'([^']*)'/.exec(message)?.[1] ?? '';
  switch (error.code) {
    case 'commander.help':
      return 'no command was given; malmen --help lists them';
    case 'commander.unknownCommand':
      return (
        message +
        didYouMean(
          typed,
          commands.map(({ name }) => name),
        )
      );
    case 'commander.unknownOption':
      return message + didYouMean(typed, flagNames(commands.find(({ name }) => name === argv[0])));
    default:
      return message;
  }
}

function flagNames(entry: CommandEntry | undefined): string[] {
  const general = [...generalFlags.map(({ term }) => term.split(' ')[0]!), '--help', '--version'];
  if (entry === undefined) return general;
  const own = flagsOf(entry.schema, entry.positional).filter(({ positional }) => !positional);
  const opposites = own.filter(({ kind }) => kind === 'switch').map(({ name }) => name.replace('--', '--no-'));
  return [...own.map(({ name }) => name), ...opposites, ...general];
}
