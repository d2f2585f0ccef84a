// The log's page: what the agent has said, chosen by level and words, and what is said meanwhile.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";
import { emptyRepository } from "./fossil.mjs";

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;

const timeout = 60_000;

before(async () => {
  browser = await openBrowser();
  agent = await startAgent(["--notify"]);
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

const place = "/log";

test("the log shows what was said, what is said meanwhile, and a line whole", { timeout }, async () => {
  const { page } = await openPage(browser, agent);
  await page.getByRole("link", { name: "Log", exact: true }).click();
  const runs = page.locator("button[data-level=info]").filter({ hasText: "the agent runs" });
  await runs.waitFor();
  assert.equal(new URL(page.url()).pathname, place);
  // A remote that nobody answers at: port 9 is discard's.
  await agent.call("POST", "/repositories/add", { path: emptyRepository(agent.folder, "lonely") });
  await agent.call("PUT", "/repositories/lonely/remote", { url: "http://127.0.0.1:9/nowhere" });
  await page.locator("button[data-level]").filter({ hasText: "lonely" }).first().waitFor();
  await inspect(page, "log");
  await runs.click();
  await page.getByLabel("The whole line").getByText("edgesync_agent::agent").waitFor();
  await inspect(page, "log-line");
  await page.keyboard.press("/");
  await page.getByRole("textbox", { name: "Search the log" }).fill("agent runs");
  await page.getByText(/^1 of \d+ lines$/).waitFor();
  await page.getByRole("button", { name: "Copy lines" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^\S+Z INFO edgesync_agent::agent: the agent runs api=http/);
  await page.getByRole("textbox", { name: "Search the log" }).fill("nobody says this");
  await page.getByText("No line fits.").waitFor();
  await page.context().close();
});

test("in the dark and on a narrow screen it is as readable, and arrows walk its lines", { timeout }, async () => {
  for (const options of [{ scheme: /** @type {const} */ ("dark") }, { width: 400 }]) {
    const { page } = await openPage(browser, agent, options);
    await visit(page, agent, place);
    const rows = page.locator("button[data-level]");
    await rows.first().waitFor();
    await rows.first().focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByLabel("The whole line").waitFor();
    assert.equal(await rows.nth(1).getAttribute("aria-pressed"), "true");
    await inspect(page, options.width ? "log-narrow" : "log-dark");
    await page.context().close();
  }
});
