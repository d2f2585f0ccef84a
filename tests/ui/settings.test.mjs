// What a person chooses about notifications.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";

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
  ({ page } = await openPage(browser, agent));
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

const settings = () => agent.call("GET", "/notify/settings");

/** Waits until the agent's settings are as wanted. @param {(settings: any) => boolean} wanted */
async function settingsWhen(wanted) {
  for (;;) {
    const now = await settings();
    if (wanted(now)) return now;
  }
}

test("quiet hours are switched on, changed, and off again", { timeout }, async () => {
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("heading", { name: "Quiet hours" }).waitFor();
  await page.getByText("This agent runs without a desktop.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Send a test notification" }).count(), 0);
  assert.equal(await page.getByLabel("from").isDisabled(), true);
  await page.getByRole("radio", { name: "Every day" }).check();
  await settingsWhen(({ quiet }) => quiet?.from === "22:00" && quiet.until === "07:00");
  await page.getByLabel("until").fill("06:30");
  await page.getByLabel("until").blur();
  await settingsWhen(({ quiet }) => quiet?.until === "06:30");
  // Another front's choice is seen here.
  await agent.call("PUT", "/notify/settings/quiet", { quiet: { from: "21:15", until: "06:30" } });
  await page.waitForFunction(() => document.querySelector("input[type=time]")?.matches(":enabled") && /** @type {HTMLInputElement} */ (document.querySelector("input[type=time]")).value === "21:15");
  await inspect(page, "settings");
  // Hours that are none are refused in words.
  await page.getByLabel("until").fill("21:15");
  await page.getByLabel("until").blur();
  await page.getByText("The quiet hours were not changed").waitFor();
  await inspect(page, "settings-refused");
  await page.getByRole("radio", { name: "Off" }).check();
  await settingsWhen(({ quiet }) => quiet === null);
});

test("a project is muted by its thread's bell, shown as muted, and unmuted in the settings", { timeout }, async () => {
  const { thread } = await agent.call("POST", "/notify/send", { project: "nightly", body: "Try again?", actions: ["Yes", "No"], from_name: "ci" });
  await visit(page, agent, `/inbox/${thread}`);
  await page.getByRole("button", { name: "Mute nightly" }).click();
  await page.getByText("1 message · muted").waitFor();
  assert.deepEqual((await settings()).muted, ["nightly"]);
  await page.locator(`[data-thread='${thread}'] .muted`).waitFor();
  await inspect(page, "inbox-muted");
  const dark = await openPage(browser, agent, { scheme: "dark" });
  try {
    await visit(dark.page, agent, "/settings");
    await dark.page.locator("[data-muted=nightly]").waitFor();
    await inspect(dark.page, "settings-dark");
    await dark.page.getByRole("button", { name: "Unmute nightly" }).click();
    await dark.page.getByText("A thread's bell mutes its project").waitFor();
  } finally {
    await dark.page.context().close();
  }
  // The other page hears of it.
  await page.locator(`[data-thread='${thread}'] .muted`).waitFor({ state: "detached" });
  assert.deepEqual((await settings()).muted, []);
});

test("the repository of the questions is no card, but its timeline is reachable", { timeout }, async () => {
  await visit(page, agent, "/");
  await page.getByText("Your repositories will be here").waitFor();
  assert.equal(await page.locator("[data-repository=notify]").count(), 0);
  await visit(page, agent, "/settings");
  await page.getByRole("link", { name: "Show its timeline" }).click();
  await page.getByText("Try again?").first().waitFor();
});

test("an agent without notify has no settings to show", { timeout }, async () => {
  const other = await startAgent();
  const opened = await openPage(browser, other);
  try {
    assert.equal(await opened.page.getByRole("link", { name: "Settings" }).count(), 0);
    await visit(opened.page, other, "/settings");
    await opened.page.getByText("This agent runs without notify").waitFor();
    await inspect(opened.page, "settings-none");
  } finally {
    await opened.page.context().close();
    await other.remove();
  }
});
