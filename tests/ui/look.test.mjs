// Every screen, in light and dark, with little, nothing, much and trouble in it.

import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";
import { branchyRepository, emptyRepository, fossil, largeRepository, sampleRepository } from "./fossil.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @type {import("./agent.mjs").Agent} */
let full;
/** @type {import("./agent.mjs").Agent} */
let bare;
/** @type {import("./agent.mjs").Agent} */
let many;
/** @type {import("playwright-core").Browser} */
let browser;
/** The check-in that made a thousand files. */
let oldest = "";

before(async () => {
  browser = await openBrowser();
  full = await startAgent();
  bare = await startAgent();
  many = await startAgent();
  await addSample();
  const tiny = emptyRepository(many.folder, "tiny");
  mkdirSync(path.join(many.folder, "many"));
  const copies = Array.from({ length: 1000 }, (_, i) => path.join(many.folder, "many", `repository-${String(i).padStart(3, "0")}.fossil`));
  for (const copy of copies) copyFileSync(tiny, copy);
  await many.stop();
  await many.start(copies.flatMap((copy) => ["-R", copy]));
});

after(async () => {
  await browser?.close();
  for (const agent of [full, bare, many]) await agent?.remove();
});

async function addSample() {
  const add = (/** @type {string} */ file) => full.call("POST", "/repositories/add", { path: file });
  await add(sampleRepository(full.folder, "sample"));
  await add(largeRepository(full.folder, "rows", { checkIns: 1000, files: 1000 }));
  oldest = (await full.call("GET", "/repositories/rows/timeline?offset=999&limit=1")).rows[0].hash;
  await add(branchyRepository(full.folder, "branches"));
  await add(oddRepository());
  await add(emptyRepository(full.folder, "unreachable"));
  // Port 9 is discard's: nobody answers there.
  await full.call("PUT", "/repositories/unreachable/remote", { url: "http://127.0.0.1:9/nowhere" });
  const gone = emptyRepository(full.folder, "gone");
  await add(gone);
  rmSync(gone);
  await full.call("POST", "/repositories/gone/sync").catch(() => undefined);
}

/** A file without a line, and one with a thousand long ones. */
function oddRepository() {
  const file = emptyRepository(full.folder, "odd");
  const work = path.join(full.folder, "odd-work");
  fossil(full.folder, ["open", "--workdir", work, file]);
  writeFileSync(path.join(work, "empty.txt"), "");
  writeFileSync(path.join(work, "long.txt"), `${"a long line of the file ".repeat(20)}\n`.repeat(1000));
  fossil(full.folder, ["addremove"], { cwd: work });
  fossil(full.folder, ["commit", "--no-warnings", "-m", "Nothing and much"], { cwd: work });
  return file;
}

/** @type {Map<string, ReturnType<typeof openPage>>} */
const pages = new Map();

/**
 * One page for each agent and scheme; every test goes to its place by a deep link.
 * @param {import("./agent.mjs").Agent} agent
 * @param {"light" | "dark"} scheme
 */
function pageOf(agent, scheme) {
  const key = `${agent.api} ${scheme}`;
  const page = pages.get(key) ?? openPage(browser, agent, { scheme });
  pages.set(key, page);
  return page;
}

/** @param {Page} page @param {string} text */
const shows = (page, text) => page.getByText(text).first().waitFor();
/** @param {Page} page */
const rows = (page) => page.getByRole("option").nth(3).waitFor();

/** @type {{ name: string, place: string, agent: () => import("./agent.mjs").Agent, ready: (page: Page) => Promise<unknown> }[]} */
const screens = [
  { name: "overview", place: "/", agent: () => full, ready: (page) => shows(page, "Say more in the library") },
  { name: "overview-empty", place: "/", agent: () => bare, ready: (page) => shows(page, "Your repositories will be here") },
  { name: "overview-1000", place: "/", agent: () => many, ready: (page) => page.getByText("960 more").waitFor({ state: "attached" }) },
  { name: "add-existing", place: "/add", agent: () => full, ready: (page) => page.getByLabel("File").waitFor() },
  { name: "add-create", place: "/add/create", agent: () => full, ready: (page) => page.getByLabel("Project name").waitFor() },
  { name: "add-clone", place: "/add/clone", agent: () => bare, ready: (page) => page.getByLabel("URL").waitFor() },
  { name: "add-error", place: "/add", agent: () => full, ready: addNothing },
  { name: "timeline", place: "/r/sample/timeline", agent: () => full, ready: rows },
  { name: "timeline-empty", place: "/r/sample/timeline", agent: () => full, ready: noTickets },
  { name: "timeline-1000", place: "/r/rows/timeline", agent: () => full, ready: rows },
  { name: "timeline-error", place: "/r/gone/timeline", agent: () => full, ready: (page) => shows(page, "The file can't be opened") },
  { name: "timeline-branches", place: "/r/branches/timeline", agent: () => full, ready: rows },
  { name: "check-in-branches", place: "/r/branches/c/tip", agent: () => full, ready: (page) => page.locator("[data-path]").first().waitFor() },
  { name: "check-in", place: "/r/sample/c/release-1.1", agent: () => full, ready: (page) => page.locator("[data-path] table").first().waitFor() },
  { name: "check-in-empty", place: "/r/unreachable/c/tip", agent: () => full, ready: (page) => shows(page, "No files changed") },
  { name: "check-in-1000", place: "/r/rows/c/OLDEST", agent: () => full, ready: (page) => page.locator("[data-path]").nth(50).waitFor() },
  { name: "check-in-error", place: "/r/sample/c/0123456789", agent: () => full, ready: (page) => shows(page, "The check-in can't be shown") },
  { name: "files", place: "/r/sample/files/tip", agent: () => full, ready: (page) => page.getByRole("treeitem").nth(2).waitFor() },
  { name: "files-empty", place: "/r/unreachable/files", agent: () => full, ready: (page) => shows(page, "This version has no files") },
  { name: "files-1000", place: "/r/rows/files/tip/part-3/file-0403.txt", agent: () => full, ready: (page) => page.getByRole("region", { name: /^Text of/ }).waitFor() },
  { name: "files-error", place: "/r/sample/files/no-such-tag", agent: () => full, ready: (page) => shows(page, "can't be shown") },
  { name: "file-error", place: "/r/sample/files/tip/no/such/file.txt", agent: () => full, ready: (page) => shows(page, "This version has no file") },
  { name: "file", place: "/r/sample/files/tip/src/main.rs#L5-9", agent: () => full, ready: (page) => page.locator(".line.marked").nth(4).waitFor() },
  { name: "file-image", place: "/r/sample/files/tip/icon.png", agent: () => full, ready: (page) => shows(page, "2 × 2") },
  { name: "file-binary", place: "/r/sample/files/tip/data.bin", agent: () => full, ready: (page) => shows(page, "is binary") },
  { name: "file-empty", place: "/r/odd/files/tip/empty.txt", agent: () => full, ready: (page) => page.getByRole("treeitem", { name: "empty.txt" }).waitFor() },
  { name: "file-1000", place: "/r/odd/files/tip/long.txt", agent: () => full, ready: (page) => page.locator(".line").nth(20).waitFor() },
  { name: "settings", place: "/r/sample/settings", agent: () => full, ready: (page) => shows(page, "Forget sample") },
  { name: "settings-error", place: "/r/unreachable/settings", agent: () => full, ready: (page) => page.getByRole("alert").first().waitFor() },
  { name: "unknown", place: "/r/nobody/timeline", agent: () => full, ready: (page) => shows(page, "There is no repository called") },
];

/** @param {Page} page */
async function noTickets(page) {
  await page.getByText("Tickets").click();
  await shows(page, "Nothing of this kind is in the history");
}

/** @param {Page} page */
async function addNothing(page) {
  await page.getByLabel("File").fill("/nowhere/at/all.fossil");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await shows(page, "The file was not added");
}

for (const scheme of /** @type {const} */ (["light", "dark"])) {
  for (const screen of screens) {
    test(`${screen.name} in ${scheme} is whole and accessible at 900 px`, { timeout: 60_000 }, async () => {
      const { page, errors } = await pageOf(screen.agent(), scheme);
      await visit(page, screen.agent(), screen.place.replace("OLDEST", oldest));
      await screen.ready(page);
      await inspect(page, `${screen.name}-${scheme}`);
      assert.deepEqual(errors, []);
    });
  }
}

const sizes = [
  { what: "a phone", key: "phone", width: 390, height: 780, names: ["overview", "add-clone", "timeline", "check-in", "file", "settings", "settings-error"] },
  { what: "the smallest window", key: "720", width: 720, height: 480, names: ["overview", "timeline-branches", "check-in-branches", "check-in", "files", "file", "settings"] },
  { what: "the window as it opens", key: "980", width: 980, height: 680, names: ["timeline-branches", "check-in-branches", "files-1000"] },
];
for (const { what, key, width, height, names } of sizes) {
  for (const name of names) {
    test(`${name} fits ${what}`, { timeout: 60_000 }, async () => {
      const screen = screens.find((each) => each.name === name);
      assert.ok(screen);
      const { page } = await openPage(browser, screen.agent(), { width, height });
      try {
        await visit(page, screen.agent(), screen.place);
        await screen.ready(page);
        await inspect(page, `${name}-${key}`);
        assert.deepEqual(await page.locator("[data-testid=rows] .row").evaluateAll(pushedOut), [], "rows reach out of their list");
      } finally {
        await page.context().close();
      }
    });
  }
}

/** Names rows of which a part lies beyond the row's end. @param {Element[]} rows */
function pushedOut(rows) {
  return rows
    .filter((row) => [...row.children].some((part) => part.getBoundingClientRect().right > row.getBoundingClientRect().right + 1))
    .map((row) => row.textContent);
}
