// Two real agents that meet through the mesh screen.

import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";
import { fossil, sampleRepository } from "./fossil.mjs";

/** @type {import("./agent.mjs").Agent} */
let studio;
/** @type {import("./agent.mjs").Agent} */
let laptop;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;

const timeout = 60_000;

before(async () => {
  browser = await openBrowser();
  studio = await startAgent(["--nats-role", "hub", "--peer-id", "studio", "--poll", "1h"]);
  laptop = await startAgent(["--peer-id", "laptop", "--poll", "1h"]);
  const file = sampleRepository(studio.folder, "sample");
  const copy = path.join(laptop.folder, "sample.fossil");
  copyFileSync(file, copy);
  await studio.call("POST", "/repositories/add", { path: file });
  await laptop.call("POST", "/repositories/add", { path: copy });
  ({ page } = await openPage(browser, laptop, { height: 900 }));
});

after(async () => {
  await browser?.close();
  await studio?.remove();
  await laptop?.remove();
});

async function leafAddress() {
  const { addresses } = await studio.call("GET", "/mesh");
  return addresses.find((/** @type {any} */ address) => address.kind === "leaf").url;
}

const row = () => page.locator("[data-peer=studio]");

test("each trusts the other, one joins, and both are seen as connected", { timeout }, async () => {
  const { endpoint_id: here } = await laptop.call("GET", "/mesh");
  const { endpoint_id: there } = await studio.call("GET", "/mesh");
  await studio.call("POST", "/mesh/trusted", { endpoint_id: here, name: "laptop" });
  await page.getByRole("link", { name: /^Mesh/ }).click();
  await page.getByText("The other agents will be here").waitFor();
  await page.getByLabel("Endpoint id").fill(there);
  await page.getByLabel("Name").fill("studio");
  await page.getByRole("button", { name: "Trust", exact: true }).click();
  await page.locator(`[data-trusted='${there}']`).waitFor();
  await page.getByLabel("Address of another agent").fill(await leafAddress());
  await page.keyboard.press("Enter");
  await row().locator("[data-link=connected]").waitFor();
  await row().getByText("leaf link, from here").waitFor();
  await row().getByRole("link", { name: "sample" }).waitFor();
  await inspect(page, "mesh-two-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await inspect(page, "mesh-two-dark");
  await page.emulateMedia({ colorScheme: "light" });
});

test("a commit there is in the timeline here, without a poll", { timeout }, async () => {
  await visit(page, laptop, "/r/sample/timeline");
  await page.getByRole("option").nth(3).waitFor();
  const work = path.join(studio.folder, "work");
  fossil(studio.folder, ["open", "--workdir", work, path.join(studio.folder, "sample.fossil")]);
  fossil(studio.folder, ["commit", "--allow-empty", "--no-warnings", "-m", "Made on the other machine"], { cwd: work });
  await page.getByRole("option").filter({ hasText: "Made on the other machine" }).waitFor();
});

test("the overview's picture has the other machine", { timeout }, async () => {
  await visit(page, laptop, "/");
  await page.getByRole("img", { name: /studio: Connected/ }).waitFor();
  await inspect(page, "overview-two");
});

test("as a leaf this machine has no address for others and goes on hearing", { timeout }, async () => {
  await visit(page, laptop, "/mesh");
  await page.getByRole("radio", { name: /^Leaf/ }).check();
  await page.getByText("Nobody can come to this machine any more.").waitFor();
  await page.getByRole("button", { name: "Become a leaf" }).click();
  await page.getByText("A leaf has no address for others").waitFor();
  await row().getByText("leaf link, from here").waitFor();
  await row().locator("[data-link=connected]").waitFor();
  const { role, role_from } = await laptop.call("GET", "/mesh");
  assert.deepEqual({ role, role_from }, { role: "leaf", role_from: "app" });
});

test("a machine that is gone is shown as silent, on the mesh screen and in the picture", { timeout }, async () => {
  await studio.stop();
  await row().locator("[data-link=gone]").waitFor();
  await row().getByText("Silent").waitFor();
  await inspect(page, "mesh-gone-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await inspect(page, "mesh-gone-dark");
  await visit(page, laptop, "/");
  await page.getByRole("img", { name: /studio: Silent/ }).waitFor();
  await inspect(page, "overview-gone-dark");
});
