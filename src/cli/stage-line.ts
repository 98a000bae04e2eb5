// A stage's state as one line of text: while it runs, and when it is over.
// Knows no stream and no clock.

import { formatDuration, formatNumber, formatRate } from './number-format.js';
import type { StageReading } from './stage-meter.js';
import { clip, textWidth } from './text-width.js';

/** The bar's share of the line, the same while a stage runs, so that nothing jumps when numbers grow. */
const barShare = 1 / 6;
const gap = '  ';

/**
 * The line to redraw: stage, bar, count, rate, time left, values. Never wider than `columns`: values that do not fit are
 * left out from the end, then the bar.
 */
export function runningLine(reading: StageReading, columns: number): string {
  const counts = [countOf(reading), ...speedOf(reading)];
  const bar = reading.total === undefined ? [] : [drawBar(reading, Math.floor(columns * barShare))];
  const withBar = [reading.stage, ...bar, ...counts];
  if (lineWidth(withBar) > columns) return clip([reading.stage, ...counts].join(gap), columns);
  const values = valuesOf(reading);
  while (lineWidth([...withBar, ...values]) > columns) values.pop();
  return [...withBar, ...values].join(gap);
}

const lineWidth = (parts: readonly string[]) => textWidth(parts.join(gap));

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
