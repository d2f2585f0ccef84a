// A history of 20,000 check-ins under the hand.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { openBrowser, openPage, visit } from "./browser.mjs";
import { largeRepository } from "./fossil.mjs";

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;

const timeout = 180_000;
const check_ins = 20_000;

before(async () => {
  browser = await openBrowser();
  agent = await startAgent();
  await agent.call("POST", "/repositories/add", { path: largeRepository(agent.folder, "large", { checkIns: check_ins, files: 40 }) });
  ({ page } = await openPage(browser, agent));
  await visit(page, agent, "/r/large/timeline");
  await page.getByText(`Change number ${check_ins}`).waitFor();
}, { timeout });

after(async () => {
  await browser?.close();
  await agent?.remove();
});

test("few rows exist, whatever the length of the list", { timeout }, async () => {
  assert.ok((await page.getByRole("option").count()) < 100);
  const height = await page.getByTestId("rows").evaluate((list) => list.scrollHeight);
  assert.ok(height >= check_ins * 32, `${height} px for ${check_ins} rows`);
});

test("scrolling through all of it never piles up rows", { timeout }, async (t) => {
  const { most, longest_ms } = await page.getByTestId("rows").evaluate(async (list) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const steps = 120;
    let most = 0;
    let longest_ms = 0;
    for (let i = 0; i <= steps; i += 1) {
      const began = performance.now();
      list.scrollTop = (list.scrollHeight * i) / steps;
      await frame();
      await frame();
      most = Math.max(most, list.querySelectorAll("[role=option]").length);
      longest_ms = Math.max(longest_ms, performance.now() - began);
    }
    return { most, longest_ms };
  });
  t.diagnostic(`the longest of the steps took ${Math.round(longest_ms)} ms`);
  assert.ok(most < 100, `${most} rows at once`);
  await page.getByText("Change number 1", { exact: true }).waitFor();
});

test("End and Home reach the ends, and the oldest check-in opens", { timeout }, async () => {
  await page.getByTestId("rows").focus();
  await page.keyboard.press("Home");
  await page.getByText(`Change number ${check_ins}`).waitFor();
  await page.keyboard.press("End");
  await page.getByText("Change number 1", { exact: true }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Change number 1", exact: true }).waitFor();
  await page.keyboard.press("Escape");
});

test("a search looks through all of the history", { timeout }, async () => {
  await page.keyboard.press("/");
  await page.keyboard.type("number 4321");
  await page.getByRole("option").filter({ hasText: "Change number 4321" }).waitFor();
  await page.getByText(/^\d+ match(es)?$/).waitFor();
});
