// The doctor's page: what is right, what is not, and how to right it.

import assert from "node:assert/strict";
import { truncateSync, statSync } from "node:fs";
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

test("the doctor is found in the palette and shows the checks of the command line", { timeout }, async () => {
  await agent.call("POST", "/repositories/add", { path: emptyRepository(agent.folder, "sound") });
  const { page } = await openPage(browser, agent);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("doctor");
  await page.keyboard.press("Enter");
  await page.locator("[data-check=home][data-verdict=pass]").waitFor();
  assert.equal(new URL(page.url()).pathname, "/doctor");
  const { checks } = await agent.call("GET", "/doctor");
  const shown = await page.locator("[data-check]").evaluateAll((rows) => rows.map((row) => /** @type {HTMLElement} */ (row).dataset["check"]));
  assert.deepEqual(shown.sort(), checks.map((/** @type {{ name: string }} */ check) => check.name).sort());
  assert.equal(await page.locator("[data-verdict=fail]").count(), 0);
  await inspect(page, "doctor");
  await page.context().close();
});

test("what does not work comes first with its fix, and another look sees that it is right", { timeout }, async () => {
  const file = emptyRepository(agent.folder, "cut");
  await agent.call("POST", "/repositories/add", { path: file });
  const { page } = await openPage(browser, agent, { scheme: "dark" });
  truncateSync(file, statSync(file).size / 2);
  await visit(page, agent, "/doctor");
  const first = page.locator("[data-check]").first();
  await page.getByText("1 does not work").waitFor();
  assert.equal(await first.getAttribute("data-verdict"), "fail");
  await first.getByText("cut.fossil").first().waitFor();
  await first.getByText("To right it:").waitFor();
  await inspect(page, "doctor-trouble-dark");
  await agent.call("DELETE", "/repositories/cut");
  await page.getByRole("button", { name: "Check again" }).click();
  await page.locator("[data-verdict=fail]").waitFor({ state: "detached" });
  await page.context().close();
  const narrow = await openPage(browser, agent, { width: 400 });
  await visit(narrow.page, agent, "/doctor");
  await narrow.page.locator("[data-check=home]").waitFor();
  await inspect(narrow.page, "doctor-narrow");
  await narrow.page.context().close();
});

test("a join and a NATS server that cannot be reached are told with what to do", { timeout }, async () => {
  const away = await startAgent(["--join", "nats-leaf://127.0.0.1:1", "--nats-upstream", "nats-leaf://127.0.0.1:1"]);
  for (const scheme of /** @type {const} */ (["light", "dark"])) {
    const { page } = await openPage(browser, away, { scheme });
    const links = () => page.locator("[data-check=join], [data-check=upstream]");
    const troubled = async () => {
      await visit(page, away, "/doctor");
      await links().first().waitFor();
      return (await links().getByText("cannot be reached").count()) === 2;
    };
    while (!(await troubled()));
    assert.deepEqual(await links().evaluateAll((rows) => rows.map((row) => /** @type {HTMLElement} */ (row).dataset["verdict"])), ["warn", "warn"]);
    assert.equal(await links().getByText("To right it:").count(), 2);
    await inspect(page, `doctor-links-${scheme}`);
    await page.context().close();
  }
  await away.remove();
});

test("the pairing of a phone has an address, and closing it leads to the devices", { timeout }, async () => {
  const { page } = await openPage(browser, agent);
  await visit(page, agent, "/devices/pair");
  await page.getByRole("heading", { name: "Pair a phone" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Pair a phone" }).count(), 0);
  await page.getByRole("button", { name: "Close" }).or(page.getByRole("button", { name: "Cancel" })).first().click();
  await page.getByRole("button", { name: "Pair a phone" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/devices");
  await page.context().close();
});
