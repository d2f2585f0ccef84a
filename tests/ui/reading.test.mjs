// What reading files and diffs must not hide, and how the panes make room for it.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";
import { emptyRepository, fossil, sampleRepository } from "./fossil.mjs";

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;
/** @type {string[]} */
let errors;
/** @type {string[]} */
let missed;

const timeout = 60_000;
const honest = "let admin = false;\n";
const trojan = "let admin = false; /*\u202e } \u2066if (admin)\u2069 \u2066 begin\u200b*/\n";

before(async () => {
  browser = await openBrowser();
  agent = await startAgent();
  await agent.call("POST", "/repositories/add", { path: sampleRepository(agent.folder, "sample") });
  await agent.call("POST", "/repositories/add", { path: trickyRepository() });
  ({ page, errors, missed } = await openPage(browser, agent, { width: 720, height: 480 }));
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

/** A line that reads otherwise than it runs, in a file, a diff, a comment and a name. */
function trickyRepository() {
  const file = emptyRepository(agent.folder, "tricky");
  const work = path.join(agent.folder, "tricky-work");
  const commit = (/** @type {string} */ comment) => fossil(agent.folder, ["commit", "--no-warnings", "-m", comment], { cwd: work });
  fossil(agent.folder, ["open", "--workdir", work, file]);
  writeFileSync(path.join(work, "check.rs"), honest);
  fossil(agent.folder, ["add", "check.rs"], { cwd: work });
  commit("Check");
  writeFileSync(path.join(work, "check.rs"), trojan);
  writeFileSync(path.join(work, "invoice\u202etxt.exe"), "x\n");
  fossil(agent.folder, ["addremove"], { cwd: work });
  commit("Check \u202eharder");
  return file;
}

test("characters that can't be seen are named in files, diffs, names and comments", { timeout }, async () => {
  // What is out of sight is not laid out, and has no inner text.
  const named = async (/** @type {import("playwright-core").Locator} */ place) => assert.match((await place.textContent()) ?? "", /U\+202E/);
  await visit(page, agent, "/r/tricky/files/tip/check.rs");
  const line = page.locator(".line").first();
  await line.waitFor();
  assert.equal(await line.locator(".text").innerText(), trojan.trimEnd().replace(/[\u202e\u2066\u2069\u200b]/g, (hidden) => `U+${hidden.charCodeAt(0).toString(16).toUpperCase()}`));
  await named(page.getByRole("treeitem").filter({ hasText: "invoice" }));
  await inspect(page, "file-tricky");
  await visit(page, agent, "/r/tricky/c/tip");
  await named(page.locator("[data-path='check.rs'] tr.add td.text"));
  await named(page.getByRole("heading", { name: "harder" }));
  await visit(page, agent, "/r/tricky/timeline");
  await named(page.getByRole("option").first());
});

test("a change that is too long to be shown is not said to be none", { timeout }, async () => {
  const file = emptyRepository(agent.folder, "long");
  const work = path.join(agent.folder, "long-work");
  fossil(agent.folder, ["open", "--workdir", work, file]);
  writeFileSync(path.join(work, "long.txt"), "a line\n".repeat(25_000));
  fossil(agent.folder, ["add", "long.txt"], { cwd: work });
  fossil(agent.folder, ["commit", "--no-warnings", "-m", "Much"], { cwd: work });
  await agent.call("POST", "/repositories/add", { path: file });
  await visit(page, agent, "/r/long/c/tip");
  const change = page.locator('[data-path="long.txt"]');
  const fold = change.locator("[data-fold]");
  if ((await fold.getAttribute("aria-expanded")) === "false") await fold.click();
  await change.getByText("too long to be shown").waitFor();
  assert.match((await change.textContent()) ?? "", /\+25,000.*This diff is too long to be shown/s);
  assert.doesNotMatch((await change.textContent()) ?? "", /is empty|is the same/);
  assert.deepEqual(errors, []);
});

test("the README introduces the files; nothing of it runs", { timeout }, async () => {
  await visit(page, agent, "/r/sample/files");
  const document = page.getByRole("article", { name: "README.md" });
  await document.getByRole("heading", { name: "Sample" }).waitFor();
  await document.getByText("Words in HTML stay words & signs.").waitFor();
  assert.equal(await document.locator("img, script, a[href^='javascript']").count(), 0);
  assert.equal(await document.getByRole("link", { name: "the web" }).getAttribute("target"), "_blank");
  await inspect(page, "readme");
  await page.getByText("Source", { exact: true }).click();
  await page.locator(".line").filter({ hasText: "<script>" }).waitFor();
  await page.getByText("Read", { exact: true }).click();
  await document.getByRole("link", { name: "the code" }).click();
  await page.waitForURL(`${agent.api}/r/sample/files/tip/src/main.rs`);
  assert.deepEqual(errors, []);
});

test("the page asks for nothing that this agent does without", { timeout }, () => {
  assert.deepEqual(missed, []);
});

test("a link to a line of a document shows its source", { timeout }, async () => {
  await visit(page, agent, "/r/sample/files/tip/README.md#L3");
  await page.locator(".line.marked").waitFor();
  await page.getByText("Read", { exact: true }).click();
  await page.getByRole("article").waitFor();
  assert.equal(new URL(page.url()).hash, "");
});

test("the file tree is widened by hand and by keys, and folded away", { timeout }, async () => {
  await visit(page, agent, "/r/sample/files/tip/src/main.rs");
  const line = page.getByRole("separator", { name: "Width of the file tree" });
  const width = async () => Number(await line.getAttribute("aria-valuenow"));
  await line.waitFor();
  const usual = await width();
  await line.focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await width(), usual + 16);
  const box = await line.boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 40, box.y + 100, { steps: 4 });
  await page.mouse.up();
  assert.ok(Math.abs((await width()) - usual - 56) <= 2, `${await width()} after ${usual}`);
  await line.dblclick();
  assert.equal(await width(), usual);
  await page.keyboard.press("End");
  await inspect(page, "files-wide-tree");
  await page.getByRole("button", { name: "Hide the file tree" }).click();
  await line.waitFor({ state: "detached" });
  await inspect(page, "files-folded");
  await page.keyboard.press("/");
  await page.keyboard.type("lib");
  await page.getByRole("treeitem", { name: "src/lib.rs" }).waitFor();
});
