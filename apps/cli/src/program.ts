import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { backendNames } from './backends.js';
import { doctor, formatDoctor } from './commands/doctor.js';
import { evaluate } from './commands/evaluate.js';
import { type FilePrediction, predict, type TextPrediction } from './commands/predict.js';
import { quickstart } from './commands/quickstart.js';
import { serve } from './commands/serve.js';
import { addSetup } from './commands/setup.js';
import { printTrained, resume, train } from './commands/train.js';
import { Interrupted } from './interruption.js';
import { createOutput, formatResult, type Output } from './output.js';
import { recipes } from './recipes/index.js';
import { version } from './version.js';

/**
 * Runs a command line and returns its exit code: 0, 1 for an error, 2 for a wrong call, 130 after Ctrl-C. Never
 * throws: errors are printed.
 */
export async function main(args: readonly string[]): Promise<number> {
  const output = createOutput(args.includes('--json'));
  let exitCode = 0;
  const program = build(output, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has printed for people already: help, version, what was wrong with the call.
      if (error.exitCode === 0) return 0;
      const message = error.code === 'commander.help' ? 'No command was given.' : error.message;
      if (output.json) output.result({ error: { code: 'USAGE', message } }, message);
      return 2;
    }
    if (error instanceof Interrupted) {
      output.note(error.message);
      return error.exitCode;
    }
    output.fail(error);
    return 1;
  }
}

function build(output: Output, exit: (code: number) => void): Command {
  const program = new Command('tenon')
    .description('Trains, evaluates and serves models, from recipes or from experiments of your own.')
    .version(version)
    .option('--json', 'print JSON lines for machines')
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({ writeErr: (text) => process.stderr.write(text) });

  const add = (usage: string, description: string): Command =>
    program
      .command(usage)
      .description(description)
      .option('--json', 'print JSON lines for machines')
      .exitOverride();
  const withBackend = (command: Command, standard?: string): Command =>
    command
      .option('--backend <name>', `what to compute on: ${backendNames.join(', ')}`, standard)
      .addOption(
        new Option('--device <device>', 'what cuda computes on (default: what it was set up for)').choices([
          'gpu',
          'cpu',
        ]),
      );

  withBackend(
    add('train <recipe|file>', 'train a recipe, or the experiment in a file (.ts, .js; .json: a document)'),
    'auto',
  )
    .option('--out <folder>', 'the folder of the run (default: a new one in runs/)')
    .option('--seed <number>', 'one seed, one run (default: 0, of a document its own)', parseCount)
    .option('--epochs <number>', 'how many epochs', parseCount)
    .option('--set <name=value>', 'set an option of the experiment; may be repeated', collect, [])
    .option('--data <path>', 'the data, for experiments that take a folder or a file')
    .addOption(
      new Option(
        '--precision <precision>',
        "what it trains in; mixed-float16 is for webgpu (default: the experiment's own, or float32)",
      ).choices(['float32', 'mixed-float16']),
    )
    .action(async (name, flags) => exit(printTrained(await train(name, flags, output), output)));

  withBackend(add('resume <run>', 'go on with a run that was stopped or killed')).action(async (run, flags) =>
    exit(printTrained(await resume(run, flags, output), output)),
  );

  withBackend(
    add('evaluate <run>', "the saved model's figures on the run's test data; of a folder, or a zip of one"),
  )
    .option('--data <path>', "the data, where it isn't where the run had it")
    .action(async (run, flags) => {
      const result = await evaluate(run, flags, output);
      output.result(
        result,
        Object.entries(result.test)
          .map(([name, value]) => `test ${name}: ${formatResult(value)}`)
          .join('\n'),
      );
    });

  withBackend(add('predict <run> [file...]', 'predict the examples in files, or write text'), 'auto')
    .option('--prompt <text>', 'what a text begins with (a model that writes text; or a .txt file)')
    .option('--length <number>', 'how many characters it writes (default: 200)', parseCount)
    .option('--temperature <number>', '0: the likeliest each time; above 1: wilder (default: 1)', parseNumber)
    .option('--top-k <number>', 'draw from so many of the likeliest characters (default: all)', parseCount)
    .option('--seed <number>', 'one seed, one text (default: 0)', parseCount)
    .action(async (run, files, flags) => {
      const predictions = await predict(run, files, flags);
      output.result({ predictions }, predictions.map(describePrediction).join('\n'));
    });

  add('recipes', 'list the recipes').action(() => {
    const list = Object.values(recipes).map(({ name, description, options }) => ({
      name,
      description,
      options,
    }));
    const text = list.map(({ name, description, options }) => {
      const settings = Object.entries(options).map(([key, value]) => `${key}=${value}`);
      return `${name}\n  ${description}\n  options: ${settings.join(', ')}`;
    });
    output.result({ recipes: list }, text.join('\n\n'));
  });

  add('doctor', 'what this machine can run, and why not').action(async () => {
    const report = await doctor();
    output.result(report, formatDoctor(report));
    exit(report.ok ? 0 : 1);
  });

  addSetup(add('setup [backend]', 'build the binding to TensorFlow that the backend cuda needs'), output);

  withBackend(add('serve <run>', 'answer predictions over HTTP'), 'auto')
    .option('--host <address>', 'the address to listen on', '127.0.0.1')
    .option('--port <number>', 'the port; 0 for any that is free', parseCount, 8080)
    .action(async (run, flags) => serve(run, flags, output));

  withBackend(add('quickstart', 'train on the embedded digits, evaluate, predict one sample'), 'auto')
    .option('--seed <number>', 'one seed, one run', parseCount, 0)
    .action(async (flags) => exit(await quickstart(flags, output)));

  return program;
}

function describePrediction(prediction: FilePrediction | TextPrediction): string {
  if ('text' in prediction) return prediction.prompt + prediction.text;
  const { file } = prediction;
  if ('outputs' in prediction) return `${file}: ${JSON.stringify(prediction.outputs)}`;
  const { predictions } = prediction;
  return predictions
    .map(({ label, probability }, i) => {
      const where = predictions.length === 1 ? file : `${file}, example ${i + 1}`;
      return `${where}: ${label} (${(100 * probability).toFixed(1)} %)`;
    })
    .join('\n');
}

function parseCount(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0 && text.trim() !== '') return value;
  throw new InvalidArgumentError('Expected an integer of at least 0.');
}

function parseNumber(text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0 && text.trim() !== '') return value;
  throw new InvalidArgumentError('Expected a number of at least 0.');
}

function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
