// A new laptop sees what another agent offers, and clones it by one click.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage } from "./browser.mjs";
import { fossil, sampleRepository } from "./fossil.mjs";

/** @type {import("./agent.mjs").Agent} */
let studio;
/** @type {import("./agent.mjs").Agent} */
let laptop;
/** @type {import("playwright-core").Browser} */
let browser;

const timeout = 60_000;
const tunnel = ["--iroh", "--no-relay", "--iroh-listen", "127.0.0.1:0", "--poll", "1h"];

before(async () => {
  browser = await openBrowser();
  studio = await startAgent([...tunnel, "--peer-id", "studio"]);
  laptop = await startAgent([...tunnel, "--peer-id", "laptop"]);
  const { endpoint_id: here } = await laptop.call("GET", "/mesh");
  const { endpoint_id: there, ticket } = await studio.call("GET", "/mesh");
  await studio.call("POST", "/mesh/trusted", { endpoint_id: here, name: "laptop" });
  await laptop.call("POST", "/mesh/trusted", { endpoint_id: there, name: "studio" });
  await laptop.call("POST", "/mesh/joins", { url: `iroh:${ticket}` });
  await studio.call("POST", "/repositories/add", { path: sampleRepository(studio.folder, "sample") });
});

after(async () => {
  await browser?.close();
  await studio?.remove();
  await laptop?.remove();
});

test("what the studio has is offered, cloned by one click, and equal from then on", { timeout }, async () => {
  const { page, errors } = await openPage(browser, laptop);
  const offers = page.getByRole("region", { name: "Available from studio" });
  await offers.getByText("sample", { exact: true }).waitFor();
  await inspect(page, "offers-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await inspect(page, "offers-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await offers.getByRole("button", { name: "Clone sample from studio" }).click();
  await page.getByRole("link", { name: "sample" }).first().waitFor();
  await offers.waitFor({ state: "detached" });
  assert.ok(existsSync(path.join(laptop.folder, "sample.fossil")));
  const work = path.join(studio.folder, "work");
  fossil(studio.folder, ["open", "--workdir", work, path.join(studio.folder, "sample.fossil")]);
  fossil(studio.folder, ["commit", "--allow-empty", "--no-warnings", "-m", "Made in the studio"], { cwd: work });
  await page.goto(`${laptop.api}/r/sample/timeline`);
  await page.getByRole("option").filter({ hasText: "Made in the studio" }).waitFor();
  assert.deepEqual(errors, []);
});
