// A real browser for tests of pages: where it lies on this computer, and how it is started. Fetches none.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'chrome'];
const elsewhere = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `CHROMIUM`, or what is on the path. */
function findBrowser(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const onPath = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [process.env.CHROMIUM ?? '', ...onPath, ...elsewhere].find((path) => path !== '' && isExecutable(path));
}

const browserPath = findBrowser();

/** Without a browser its tests are skipped, but never in the gate, which installs one: there the start fails and says why. */
export const skipReason =
  browserPath === undefined && !process.env.CI ? 'no chromium on the PATH (or set CHROMIUM to its path)' : undefined;

const quiet = ['--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export async function startBrowser(): Promise<Browser> {
  if (browserPath === undefined) throw new Error('the gate needs a browser: install chromium or set CHROMIUM');
  return chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', ...quiet] });
}
