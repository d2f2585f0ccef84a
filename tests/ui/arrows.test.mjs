// Arrows and Enter in every list of a screen that was opened by its address: no Tab is needed first, and nothing takes the focus before a key is pressed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";
import { emptyRepository, sampleRepository } from "./fossil.mjs";

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;

const timeout = 60_000;

before(async () => {
  browser = await openBrowser();
  agent = await startAgent(["--notify"]);
  await agent.call("POST", "/repositories/add", { path: sampleRepository(agent.folder, "sample") });
  await agent.call("POST", "/repositories/add", { path: emptyRepository(agent.folder, "other") });
  for (const body of ["first", "second"]) await agent.call("POST", "/notify/send", { project: "demo", from_name: "ci", body });
  await agent.call("POST", "/mesh/joins", { url: "nats-route://127.0.0.1:1" });
  ({ page } = await openPage(browser, agent, { width: 1100 }));
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

/** What matches `selector` and has the focus. @param {string} selector */
const focused = (selector) => page.locator(`${selector}:focus`);

/** Opens a place, and waits for what is in its list. @param {string} place @param {string} row */
async function open(place, row) {
  await visit(page, agent, place);
  await page.locator(row).first().waitFor();
  assert.equal(await page.evaluate(() => document.activeElement === document.body), true, `${place}: nothing has the focus`);
}

for (const { place, row, opened } of [
  { place: "/", row: "[data-card]", opened: "[data-testid=rows]" },
  { place: "/inbox", row: "a[data-thread]", opened: "a[data-thread][aria-current=page]" },
  { place: "/log", row: "button[data-level]", opened: "button[data-level][aria-pressed=true]" },
]) {
  test(`at ${place} an arrow goes to the first row, another to the next, Enter opens it`, { timeout }, async () => {
    await open(place, row);
    await page.keyboard.press("ArrowDown");
    await focused(row).waitFor();
    const at = () => page.evaluate((row) => [...document.querySelectorAll(row)].findIndex((each) => each === document.activeElement), row);
    assert.equal(await at(), 0);
    await page.keyboard.press("ArrowDown");
    assert.equal(await at(), 1);
    await page.keyboard.press("ArrowUp");
    assert.equal(await at(), 0);
    await inspect(page, `arrows-${place.slice(1) || "overview"}`);
    await page.keyboard.press("Enter");
    await page.locator(opened).first().waitFor();
  });
}

test("in a timeline arrows walk and Enter opens, also beside a check-in and after a step by the sidebar", { timeout }, async () => {
  await open("/r/sample/timeline", "[role=option]");
  await page.keyboard.press("ArrowDown");
  await focused("[data-testid=rows]").waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(`${agent.api}/r/sample/c/*`);
  const shown = page.url();
  await visit(page, agent, new URL(shown).pathname);
  await page.locator("[role=option][aria-selected=true]").waitFor();
  await page.keyboard.press("ArrowDown");
  await page.waitForURL((url) => url.href !== shown);
  await page.getByRole("navigation", { name: "Places" }).getByRole("link", { name: "other" }).click();
  await page.waitForURL(`${agent.api}/r/other/timeline`);
  await page.locator("[role=option]").first().waitFor();
  await page.keyboard.press("ArrowDown");
  await focused("[data-testid=rows]").waitFor();
});

test("in a check-in that stands alone arrows go from file to file and Enter folds it", { timeout }, async () => {
  await page.setViewportSize({ width: 600, height: 680 });
  await open("/r/sample/c/release-1.1", "[data-fold]");
  await page.keyboard.press("ArrowDown");
  await focused("[data-fold]").waitFor();
  const was = await focused("[data-fold]").getAttribute("aria-expanded");
  await page.keyboard.press("Enter");
  await page.locator(`[data-fold]:focus:not([aria-expanded="${was}"])`).waitFor();
  await page.setViewportSize({ width: 1100, height: 680 });
});

test("in the tree of files arrows walk and open", { timeout }, async () => {
  await open("/r/sample/files/tip", "[role=treeitem]");
  await page.keyboard.press("ArrowUp");
  await focused("[role=tree]").waitFor();
  await page.keyboard.press("ArrowRight");
  await page.locator("[role=treeitem][aria-expanded=true]").waitFor();
});

test("on the mesh's page arrows go to what a row offers", { timeout }, async () => {
  await open("/mesh", "[data-list] button");
  await page.keyboard.press("ArrowDown");
  await focused("[data-list] button").waitFor();
});

test("who has pointed at a text keeps the arrows for it", { timeout }, async () => {
  await open("/r/sample/c/release-1.1", "[data-fold]");
  const shown = page.url();
  await page.getByRole("heading", { name: "Merge the names" }).click();
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.evaluate(() => document.activeElement?.closest("[data-list]") === null), true);
  assert.equal(page.url(), shown);
});
