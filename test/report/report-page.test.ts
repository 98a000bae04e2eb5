// The report in a real browser: nothing is fetched, nothing goes wrong, everybody can use it, and it stays small in the
// document however many facts there are. What runs in the browser is checked against its types.

/// <reference lib="dom" />

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import AxeBuilder from '@axe-core/playwright';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { htmlReport } from '../../src/report/html-report.js';
import { readPageFiles } from '../../src/report/page-files.js';
import type { ReportData } from '../../src/report/report-data.js';
import { skipReason, startBrowser } from './browser.js';
import { exampleFact, exampleFacts, exampleReport, hostile } from './example-report.js';

let browser: Browser;
let folder: string;
let pages = 0;

beforeAll(async () => {
  if (skipReason !== undefined) return;
  browser = await startBrowser();
  folder = await mkdtemp(join(tmpdir(), 'malmen-report-'));
});

afterAll(async () => {
  await browser?.close();
  if (folder) await rm(folder, { recursive: true });
});

interface Opened extends AsyncDisposable {
  readonly page: Page;
  /** What the console and uncaught errors said. */
  readonly complaints: readonly string[];
  readonly requests: readonly string[];
  readonly url: string;
}

/** The report as a file, opened as a user would. */
async function open(data: ReportData, options: BrowserContextOptions = {}): Promise<Opened> {
  const file = join(folder, `report-${++pages}.html`);
  await writeFile(file, htmlReport(data, await readPageFiles()));
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  const url = pathToFileURL(file).href;
  await page.goto(url);
  await factRows(page).first().waitFor();
  return { page, complaints, requests, url, [Symbol.asyncDispose]: () => context.close() };
}

const factRows = (page: Page) => page.locator('#fact-table tbody tr');
const status = (page: Page) => page.getByRole('status').innerText();

/** The text of one column of the shown page of facts. */
const column = (page: Page, title: string) => factRows(page).locator(`td[data-title="${title}"]`).allInnerTexts();

const openDetails = (page: Page) =>
  page.evaluate(() => {
    for (const details of document.querySelectorAll('details')) details.open = true;
  });

/** Rules that are broken, with the elements that break them, and those that hold. In one page: the report has no frames. */
async function scan(page: Page): Promise<{ violations: string[]; passes: string[] }> {
  const { violations, passes } = await new AxeBuilder({ page }).setLegacyMode().analyze();
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  return { violations: told, passes: passes.map(({ id }) => id) };
}

describe.skipIf(skipReason !== undefined)(`in a browser${skipReason === undefined ? '' : `: ${skipReason}`}`, () => {
  test('asks for nothing but itself and says nothing on the console', async () => {
    await using opened = await open(exampleReport(exampleFacts(120)));
    await opened.page.getByRole('button', { name: 'Next' }).click();
    await opened.page.waitForLoadState('networkidle');
    expect(opened.complaints).toEqual([]);
    expect(opened.requests).toEqual([opened.url]);
  });

  test('facts that try to break out are shown as text', async () => {
    const hostileFact = {
      ...exampleFact(5),
      id: hostile,
      relation: hostile,
      prompt: hostile,
      answer: hostile,
      was: hostile,
      generated: { before: hostile, after: hostile },
    };
    const data = exampleReport([hostileFact, exampleFact(6)], {
      title: hostile,
      command: hostile,
      options: [{ name: hostile, value: hostile }],
      layers: [{ name: hostile, shiftNorm: 1, weightNorm: 2 }],
    });
    await using opened = await open(data);
    const { page } = opened;
    expect(await page.evaluate(() => Reflect.get(globalThis, 'broken'))).toBeUndefined();
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe(hostile);
    expect(await column(page, 'Wanted')).toEqual([hostile, 'New 6']);
    expect(opened.complaints).toEqual([]);
    expect(opened.requests).toEqual([opened.url]);
  });

  test.each(['light', 'dark'] as const)('has no accessibility violations in %s', async (colorScheme) => {
    await using opened = await open(exampleReport(exampleFacts(12)), { colorScheme });
    await openDetails(opened.page);
    const { violations, passes } = await scan(opened.page);
    expect(violations).toEqual([]);
    expect(passes).toContain('color-contrast');
  });

  test.each(['Light', 'Dark'])('the %s button wins over the system', async (name) => {
    const system = name === 'Light' ? 'dark' : 'light';
    await using opened = await open(exampleReport(exampleFacts(6)), { colorScheme: system });
    const { page } = opened;
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const before = await ground();
    await page.getByRole('button', { name, exact: true }).click();
    expect(await ground()).not.toBe(before);
    await page.getByRole('button', { name: 'Auto' }).click();
    expect(await ground()).toBe(before);
  });

  test('failed facts come first, the least successful of them on top', async () => {
    await using opened = await open(exampleReport(exampleFacts(200)));
    const results = await column(opened.page, 'Result');
    expect(results.slice(0, 20).every((text) => text.includes('failed'))).toBe(true);
    expect(results.slice(20).every((text) => text.includes('took'))).toBe(true);
  });

  test('a row says the sentence before and after, the wanted answer and the scores', async () => {
    await using opened = await open(exampleReport(exampleFacts(3)));
    const row = await factRows(opened.page).filter({ hasText: 'fact-1' }).innerText();
    for (const words of [
      'The answer to question 1 is Old 1',
      'The answer to question 1 is New 1',
      '25.0% \u2192 100%',
      '20.0% \u2192 87.5%',
    ])
      expect(row.replaceAll(/\s+/g, ' ')).toContain(words);
  });

  test('is searched and sorted by keyboard alone', async () => {
    await using opened = await open(exampleReport(exampleFacts(200)));
    const { page } = opened;
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '');
    const tabTo = async (reached: () => Promise<boolean>) => {
      for (let presses = 0; presses < 60 && !(await reached()); presses++) await page.keyboard.press('Tab');
      expect(await reached()).toBe(true);
    };
    await tabTo(() => page.evaluate(() => document.activeElement?.getAttribute('type') === 'search'));
    await page.keyboard.type('question 11');
    expect(await status(page)).toContain('of 11 matching facts, 200 in all');
    await tabTo(async () => (await focused()) === 'Wanted');
    await page.keyboard.press('Enter');
    expect((await column(page, 'Wanted')).slice(0, 2)).toEqual(['New 11', 'New 110']);
    await page.keyboard.press('Enter');
    expect((await column(page, 'Wanted'))[0]).toBe('New 119');
    expect(await page.locator('th[aria-sort="descending"]').innerText()).toContain('Wanted');
    await tabTo(async () => (await focused()) === 'Next');
    await page.keyboard.press('Enter');
    expect(await focused()).toBe('Next');
  });

  test('filters by result and relation, and says when nothing is left', async () => {
    await using opened = await open(exampleReport(exampleFacts(200)));
    const { page } = opened;
    await page.getByLabel('Show', { exact: true }).selectOption('failed');
    expect(await status(page)).toContain('1\u201320 of 20 matching');
    await page.getByLabel('Relation', { exact: true }).selectOption('language');
    expect(await status(page)).toContain('of 10 matching');
    await page.getByLabel('Search').fill('no such fact');
    expect(await status(page)).toContain('No fact matches');
    expect(await factRows(page).count()).toBe(0);
  });

  test('ten thousand facts stay out of the document but for one page, and are all found', async () => {
    await using opened = await open(exampleReport(exampleFacts(10_000)));
    const { page } = opened;
    const elements = () => page.evaluate(() => document.querySelectorAll('*').length);
    const small = 3000;
    expect(await factRows(page).count()).toBe(50);
    expect(await elements()).toBeLessThan(small);
    await page.getByRole('button', { name: 'Last' }).click();
    expect(await status(page)).toContain('9,951\u201310,000 of 10,000');
    await page.getByLabel('Search').fill('fact-9999');
    expect(await factRows(page).count()).toBe(1);
    await page.getByLabel('Search').fill('');
    await page.getByRole('button', { name: 'GS' }).click();
    expect(await factRows(page).count()).toBe(50);
    expect(await elements()).toBeLessThan(small);
  });

  test('fits a phone: the page does not scroll sideways, and nothing is cut off', async () => {
    const long = { ...exampleFact(5), prompt: 'x'.repeat(300), answer: 'y'.repeat(80), relation: 'z'.repeat(60) };
    const narrow = { viewport: { width: 360, height: 740 } };
    await using opened = await open(exampleReport([...exampleFacts(12), long]), narrow);
    const { page } = opened;
    await openDetails(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    const outside = await page.evaluate(() =>
      [...document.querySelectorAll('body *:not(.skip)')]
        .filter((element) => element.closest('.scroll, svg, [hidden]') === null)
        .filter((element) => element.getBoundingClientRect().right > 361)
        .map((element) => element.outerHTML.slice(0, 80)),
    );
    expect(outside).toEqual([]);
    expect((await scan(page)).violations).toEqual([]);
    await page.getByRole('button', { name: 'Result' }).click();
    expect((await column(page, 'Result'))[0]).toContain('took');
  });

  test('on paper the table has more rows and says what is left out, and afterwards it is as before', async () => {
    await using opened = await open(exampleReport(exampleFacts(300)));
    const { page } = opened;
    // What a browser sends around printing; making the paper itself takes it seconds and shows nothing more.
    await page.emulateMedia({ media: 'print' });
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    expect(await factRows(page).count()).toBe(200);
    expect(await page.getByText('100 more facts are in the file.').isVisible()).toBe(true);
    expect(await page.getByLabel('Search').isVisible()).toBe(false);
    await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    await page.emulateMedia({ media: 'screen' });
    expect(await factRows(page).count()).toBe(50);
  });

  test('without scripts the scores and figures are there, and a note about the table', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const file = join(folder, 'plain.html');
    await writeFile(file, htmlReport(exampleReport(exampleFacts(50)), await readPageFiles()));
    const page = await context.newPage();
    await page.goto(pathToFileURL(file).href);
    expect(await page.locator('svg.wide').count()).toBe(4);
    expect(await page.getByText('needs JavaScript').isVisible()).toBe(true);
    expect(await page.getByRole('button', { name: 'Dark' }).isVisible()).toBe(false);
    await context.close();
  });

  test('a model asked once has no before', async () => {
    await using opened = await open(
      exampleReport(exampleFacts(4), { compared: false, layers: [], subtitle: 'One model.' }),
    );
    const text = await opened.page.locator('body').innerText();
    expect(text).not.toMatch(/\bbefore\b(?! the edit)/i);
    expect(text).toContain('facts are known');
  });
});
