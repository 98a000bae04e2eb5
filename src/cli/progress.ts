// Stages on stderr: one line that is redrawn on a terminal, a few plain lines elsewhere.
// Knows stages and streams; not commands, options or results.

import { SingleBar } from 'cli-progress';
import { plainLine, runningLine } from './stage-line.js';
import { type ProgressEvent, StageMeter } from './stage-meter.js';
import { canRedraw, coloursOf, columnsOf, type OutputStream, type Terminal } from './terminal.js';
import { clip } from './text-width.js';

/** How the stages look; when they begin and end is decided by {@link Progress}. */
interface StageView {
  moved(meter: StageMeter): void;
  over(meter: StageMeter): void;
  /** Takes redrawn lines off the terminal until the next event. */
  hide(): void;
}

/** Follows the stages of a command. A stage is over when all of it is done, or, if its end is unknown, when another begins. */
export class Progress {
  readonly #running = new Map<string, StageMeter>();
  readonly #finishedAt = new Map<string, number>();
  readonly #view: StageView;
  readonly #now: () => number;
  #current: StageMeter | undefined;

  constructor(terminal: Terminal) {
    this.#now = terminal.now ?? (() => performance.now());
    this.#view = canRedraw(terminal.stderr, terminal.env)
      ? new LiveView(terminal, this.#now)
      : new PlainView(terminal.stderr, this.#now);
  }

  update(event: ProgressEvent): void {
    const meter = this.#running.get(event.stage);
    // A stage may say twice that it is done.
    if (meter === undefined && this.#finishedAt.get(event.stage) === event.done) return;
    this.#leaveEndlessStage(event);
    this.#show(meter ?? new StageMeter(event, this.#now()), event);
    if (event.total !== undefined && event.done >= event.total) this.#finish(event.stage);
  }

  /** Writes something else to the terminal, without debris of the line that is being redrawn. */
  aside(write: () => void): void {
    this.#view.hide();
    write();
    if (this.#current !== undefined) this.#view.moved(this.#current);
  }

  /** Ends the display; stages that were cut short get their last line. */
  close(): void {
    for (const stage of [...this.#running.keys()]) this.#finish(stage);
    this.#view.hide();
  }

  #show(meter: StageMeter, event: ProgressEvent): void {
    meter.update(event, this.#now());
    this.#running.set(event.stage, meter);
    this.#current = meter;
    this.#view.moved(meter);
  }

  #leaveEndlessStage(next: ProgressEvent): void {
    const last = this.#current?.event;
    if (last !== undefined && last.stage !== next.stage && last.total === undefined) this.#finish(last.stage);
  }

  #finish(stage: string): void {
    const meter = this.#running.get(stage)!;
    this.#running.delete(stage);
    this.#finishedAt.set(stage, meter.event.done);
    if (this.#current === meter) this.#current = undefined;
    this.#view.over(meter);
  }
}

const redrawsPerSecond = 8;

/**
 * One redrawn line. It neither hides the cursor nor changes the terminal's modes, so nothing has to be restored however
 * the program ends; the line is therefore drawn without colours, which the library would count as columns.
 */
class LiveView implements StageView {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  readonly #line: SingleBar;
  #meter: StageMeter | undefined;
  #drawn = false;

  constructor(terminal: Terminal, now: () => number) {
    this.#terminal = terminal;
    this.#now = now;
    this.#line = new SingleBar({
      stream: terminal.stderr,
      fps: redrawsPerSecond,
      clearOnComplete: true,
      hideCursor: false,
      linewrap: true,
      format: () => this.#text(),
    });
  }

  moved(meter: StageMeter): void {
    this.#meter = meter;
    if (this.#drawn) {
      this.#line.update(0);
    } else {
      this.#drawn = true;
      this.#line.start(1, 0);
    }
  }

  over(meter: StageMeter): void {
    this.hide();
    const { green } = coloursOf(this.#terminal.stderr, this.#terminal.env);
    const { done, total } = meter.event;
    const mark = total === undefined || done >= total ? green('✓') : '-';
    const text = clip(plainLine(meter.read(this.#now()), 'over'), columnsOf(this.#terminal.stderr) - 3);
    this.#terminal.stderr.write(`${mark} ${text}\n`);
  }

  hide(): void {
    if (this.#drawn) this.#line.stop();
    this.#drawn = false;
  }

  /** Leaves the last column free: some terminals wrap when it is written. */
  #text(): string {
    return this.#meter === undefined
      ? ''
      : runningLine(this.#meter.read(this.#now()), columnsOf(this.#terminal.stderr) - 1);
  }
}

const tenths = 10;
/** Between two reports on the way, however fast the tenths pass. */
const reportEveryMs = 1000;

/** Plain lines: the start of a stage, its tenths, its end; of a stage that runs again only the end. */
class PlainView implements StageView {
  readonly #stream: OutputStream;
  readonly #now: () => number;
  /** Per stage: the tenth of the last report and its time. */
  readonly #reports = new Map<string, { readonly tenth: number; readonly ms: number }>();

  constructor(stream: OutputStream, now: () => number) {
    this.#stream = stream;
    this.#now = now;
  }

  moved(meter: StageMeter): void {
    const { stage, done, total } = meter.event;
    if (total !== undefined && done >= total) return;
    const tenth = total === undefined ? 0 : Math.floor((done / total) * tenths);
    const report = this.#reports.get(stage);
    const ms = this.#now();
    if (report !== undefined && (tenth <= report.tenth || ms - report.ms < reportEveryMs)) return;
    this.#reports.set(stage, { tenth, ms });
    this.#stream.write(`${plainLine(meter.read(ms), 'running')}\n`);
  }

  over(meter: StageMeter): void {
    this.#reports.set(meter.event.stage, { tenth: tenths, ms: this.#now() });
    this.#stream.write(`${plainLine(meter.read(this.#now()), 'over')}\n`);
  }

  hide(): void {}
}
