// What hands on a keyboard can do.

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
  agent = await startAgent();
  await agent.call("POST", "/repositories/add", { path: sampleRepository(agent.folder, "sample") });
  await agent.call("POST", "/repositories/add", { path: emptyRepository(agent.folder, "other") });
  ({ page } = await openPage(browser, agent, { width: 1100 }));
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

test("the token leaves the address as soon as the page is open", { timeout }, () => {
  assert.equal(page.url(), `${agent.api}/`);
});

test("the palette goes to a repository's files by a few letters", { timeout }, async () => {
  await page.keyboard.press("Control+k");
  await inspect(page, "palette");
  await page.keyboard.type("files sam");
  await page.keyboard.press("Enter");
  await page.getByRole("treeitem").first().waitFor();
  assert.equal(new URL(page.url()).pathname, "/r/sample/files/tip");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("combobox").waitFor({ state: "detached" });
});

test("arrows and Enter walk the overview's cards", { timeout }, async () => {
  await visit(page, agent, "/");
  await page.locator("[data-card]").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByTestId("rows").waitFor();
  assert.equal(new URL(page.url()).pathname, "/r/sample/timeline");
});

test("arrows walk the timeline, Enter opens, arrows go on, Escape closes as a step back", { timeout }, async () => {
  await visit(page, agent, "/r/other/timeline");
  await page.getByRole("navigation", { name: "Places" }).getByRole("link", { name: "sample" }).click();
  await page.getByTestId("rows").focus();
  await page.getByRole("option").nth(4).waitFor();
  for (let i = 0; i < 2; i += 1) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Merge the names" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.getByRole("heading", { name: "Add a library" }).waitFor();
  const open = page.url();
  const steps = await page.evaluate(() => history.length);
  await page.keyboard.press("Escape");
  await page.getByRole("heading", { name: "Add a library" }).waitFor({ state: "detached" });
  assert.equal(new URL(page.url()).pathname, "/r/sample/timeline");
  assert.equal(await page.evaluate(() => history.length), steps);
  await page.goForward();
  await page.getByRole("heading", { name: "Add a library" }).waitFor();
  assert.equal(page.url(), open);
  await page.goBack();
  await page.goBack();
  await page.waitForURL(`${agent.api}/r/other/timeline`);
});

test("Escape on a check-in that was opened by its address leaves nothing to come back to", { timeout }, async () => {
  await visit(page, agent, "/r/other/timeline");
  await visit(page, agent, "/r/sample/c/release-1.1");
  await page.getByRole("heading", { name: "Merge the names" }).waitFor();
  await page.getByRole("option", { name: "Merge the names", selected: true }).waitFor();
  await page.keyboard.press("Escape");
  await page.waitForURL(`${agent.api}/r/sample/timeline`);
  await page.goBack();
  await page.waitForURL(`${agent.api}/r/other/timeline`);
});

test("a slash searches the whole timeline, arrows and Enter go to what was found", { timeout }, async () => {
  await visit(page, agent, "/r/sample/timeline");
  await page.getByRole("option").nth(4).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("three was");
  await page.getByText("1 match").waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Count further" }).waitFor();
});

test("a file's fold opens with Enter and shows the words that changed", { timeout }, async () => {
  await visit(page, agent, "/r/sample/timeline");
  await page.getByRole("option").filter({ hasText: "Count further" }).click();
  const fold = page.locator("[data-fold]").first();
  await page.locator("[data-path] .changed").first().waitFor();
  await fold.focus();
  await page.keyboard.press("Enter");
  await page.locator("[data-path] table").waitFor({ state: "detached" });
  await page.keyboard.press("Enter");
  await page.locator("[data-path] table").waitFor();
  await page.getByText("Side by side").click();
  await page.locator("[data-path] table.split").waitFor();
  await inspect(page, "check-in-split");
  await page.getByText("Unified").click();
});

test("the tree opens with the arrows, a slash finds a file by its path", { timeout }, async () => {
  await visit(page, agent, "/r/sample/files/tip");
  await page.getByRole("treeitem", { name: "src" }).waitFor();
  await page.getByRole("tree").focus();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowRight");
  await page.getByRole("treeitem", { name: "main.rs" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("new rs");
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: "Text of src/new name.rs" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/r/sample/files/tip/src/new%20name.rs");
});
