// Who may only read in another agent's repository sees that what is checked in here stays here, and what to do about it.

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

const timeout = 60_000;

const told = (/** @type {import("playwright-core").Locator} */ where) => where.getByText("They are not taken by studio, where this agent may only read");

before(async () => {
  browser = await openBrowser();
  studio = await startAgent(["--nats-role", "hub", "--peer-id", "studio", "--poll", "1h"]);
  laptop = await startAgent(["--peer-id", "laptop", "--poll", "1h"]);
  const file = sampleRepository(studio.folder, "sample");
  const copy = path.join(laptop.folder, "sample.fossil");
  copyFileSync(file, copy);
  await studio.call("POST", "/repositories/add", { path: file });
  await laptop.call("POST", "/repositories/add", { path: copy });
});

after(async () => {
  await browser?.close();
  await studio?.remove();
  await laptop?.remove();
});

test("changes that the other agent does not take are said to stay, until it does", { timeout }, async () => {
  const { endpoint_id: here } = await laptop.call("GET", "/mesh");
  const { endpoint_id: there, addresses } = await studio.call("GET", "/mesh");
  await studio.call("POST", "/mesh/trusted", { endpoint_id: here, name: "laptop", capabilities: "go" });
  await laptop.call("POST", "/mesh/trusted", { endpoint_id: there, name: "studio" });
  await laptop.call("POST", "/mesh/joins", { url: addresses.find((/** @type {any} */ address) => address.kind === "leaf").url });
  const { page } = await openPage(browser, laptop);
  const card = page.locator("[data-repository=sample]");
  await card.locator("[data-state=up_to_date]").waitFor();
  const work = path.join(laptop.folder, "work");
  fossil(laptop.folder, ["open", "--workdir", work, path.join(laptop.folder, "sample.fossil")]);
  fossil(laptop.folder, ["commit", "--allow-empty", "--no-warnings", "-m", "Made by who may only read"], { cwd: work });
  await card.locator("[data-state=kept]").waitFor();
  await told(card).waitFor();
  await card.getByText(`--trust ${here}`, { exact: false }).waitFor();
  await inspect(page, "kept-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await inspect(page, "kept-dark");
  await visit(page, laptop, "/r/sample/timeline");
  await told(page.locator("main")).waitFor();
  await inspect(page, "kept-repository-dark");
  await page.getByRole("link", { name: "Open Mesh" }).click();
  await page.locator("[data-peer=studio]").waitFor();
  assert.equal(new URL(page.url()).pathname, "/mesh");
  // As the hint says: trusted on the page of the other.
  await studio.call("POST", "/mesh/trusted", { endpoint_id: here, name: "laptop" });
  await laptop.call("POST", "/sync");
  await visit(page, laptop, "/");
  await card.locator("[data-state=up_to_date]").waitFor();
  assert.equal(await told(card).count(), 0);
  await page.context().close();
});
