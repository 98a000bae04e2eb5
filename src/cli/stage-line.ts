// A stage's state as one line of text: while it runs, and when it is over.
// Knows no stream and no clock.

import { formatDuration, formatNumber, formatRate } from './number-format.js';
import type { StageReading } from './stage-meter.js';
import { clip, textWidth } from './text-width.js';

const shortestBar = 10;
const longestBar = 30;
const gap = '  ';

/**
 * The line to redraw: stage, bar, count, rate, time left, values. Never wider than `columns`: values that do not fit are
 * left out from the end, then the bar.
 */
export function runningLine(reading: StageReading, columns: number): string {
  const counts = [`${countOf(reading)}`, ...speedOf(reading)].join(gap);
  const label = reading.stage;
  const hasBar = reading.total !== undefined;
  let free = columns - textWidth(label + gap + counts);
  const barNeeds = hasBar ? shortestBar + gap.length : 0;
  const values: string[] = [];
  for (const value of valuesOf(reading)) {
    if (free - barNeeds < textWidth(gap + value)) break;
    free -= textWidth(gap + value);
    values.push(value);
  }
  const bar = hasBar && free >= barNeeds ? [drawBar(reading, Math.min(longestBar, free - gap.length))] : [];
  return clip([label, ...bar, counts, ...values].join(gap), columns);
}

/** What is left of a stage when it is over, or a plain report on the way. */
export function plainLine(reading: StageReading, state: 'running' | 'over'): string {
  const time = `in ${formatDuration(reading.elapsedSeconds)}`;
  const over = reading.meanRate === undefined ? [time] : [time, formatRate(reading.meanRate)];
  const parts = [countOf(reading), ...(state === 'over' ? over : speedOf(reading)), ...valuesOf(reading)];
  return `${reading.stage}: ${parts.join(', ')}`;
}

function countOf({ done, total, unit }: StageReading): string {
  return `${formatNumber(done)}${total === undefined ? '' : `/${formatNumber(total)}`} ${unit}`;
}

function speedOf({ rate, leftSeconds, elapsedSeconds }: StageReading): string[] {
  if (rate === undefined) return [];
  const time = leftSeconds === undefined ? formatDuration(elapsedSeconds) : `${formatDuration(leftSeconds)} left`;
  return [formatRate(rate), time];
}

function valuesOf({ values }: StageReading): string[] {
  return Object.entries(values).map(([name, value]) => `${name} ${formatNumber(value)}`);
}

function drawBar({ done, total = 0 }: StageReading, size: number): string {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 1;
  const full = Math.floor(share * size);
  return '█'.repeat(full) + '░'.repeat(size - full);
}
