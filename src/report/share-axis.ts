// A horizontal axis from 0 to 100%, shared by the charts of scores: where a share lies, and its grid. Knows no chart.

import { html, type Markup } from './markup.js';

export interface ShareAxis {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export const placeOf = ({ left, right }: ShareAxis, share: number): number => round(left + share * (right - left));

/** Two decimals are finer than a pixel and keep the file small. */
export const round = (value: number): number => Math.round(value * 100) / 100;

const ticks = [0, 0.25, 0.5, 0.75, 1];

export function gridOf(axis: ShareAxis): Markup[] {
  return ticks.map((share) => {
    const x = placeOf(axis, share);
    const label = html`<text class="tick" x="${x}" y="${axis.bottom + 14}" text-anchor="middle">${share * 100}${share === 1 ? '%' : ''}</text>`;
    return html`<line class="grid" x1="${x}" y1="${axis.top}" x2="${x}" y2="${axis.bottom}"/>${label}`;
  });
}
