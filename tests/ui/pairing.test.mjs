// Two computers are paired from both pages, all the way: the code, the digits, the rights, and unpaired again; and every way in which it comes to nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, readCode, visit } from "./browser.mjs";
import { sampleRepository } from "./fossil.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("./agent.mjs").Agent} Agent */

/** @type {Agent} */
let studio;
/** @type {Agent} */
let laptop;
/** @type {import("playwright-core").Browser} */
let browser;
/** What people at the studio see. @type {Page} */
let there;
/** What people at the laptop see. @type {Page} */
let here;
/** @type {string[][]} */
const errors = [];

const timeout = 120_000;
const options = (/** @type {string} */ name) => ["--peer-id", name, "--iroh", "--no-relay", "--iroh-listen", "127.0.0.1:0"];

before(async () => {
  browser = await openBrowser();
  [studio, laptop] = await Promise.all([startAgent(options("studio")), startAgent(options("laptop"))]);
  await studio.call("POST", "/repositories/add", { path: sampleRepository(studio.folder, "sample") });
  const pages = await Promise.all([studio, laptop].map((agent) => openPage(browser, agent, { height: 900 })));
  [there, here] = /** @type {[Page, Page]} */ (pages.map(({ page }) => page));
  errors.push(...pages.map((each) => each.errors));
});

after(async () => {
  await browser?.close();
  await studio?.remove();
  await laptop?.remove();
});

const button = (/** @type {Page} */ page, /** @type {string} */ name) => page.getByRole("button", { name, exact: true });

/** Opens the dialog anew. @param {Page} page @param {Agent} agent */
async function dialog(page, agent) {
  await visit(page, agent, "/mesh");
  await button(page, "Pair a computer").click();
  await page.getByRole("heading", { name: "Pair a computer" }).waitFor();
}

/** Shows a code at the studio, and returns the link in it. */
async function offer() {
  await dialog(there, studio);
  await button(there, "Show the code").click();
  await there.locator("img.qr").waitFor();
  return readCode(there);
}

/** Joins from the laptop, until both show digits. @param {string} link @param {string} [code] */
async function join(link, code = "") {
  await dialog(here, laptop);
  await here.getByLabel("Its link or ticket").fill(link);
  await here.getByLabel("Its code").fill(code);
  await button(here, "Pair with it").click();
}

async function digits() {
  const shown = await Promise.all([there, here].map((page) => page.locator("[data-digits]").getAttribute("data-digits")));
  assert.match(shown[0] ?? "", /^\d{6}$/);
  assert.equal(shown[0], shown[1]);
  return shown[0];
}

const members = async (/** @type {Agent} */ agent) => (await agent.call("GET", "/mesh")).members;

/** Nothing is left of it on either side. */
async function nobodyIsPaired() {
  for (const agent of [studio, laptop]) {
    assert.deepEqual(await members(agent), []);
    const { offer: open, pending } = await agent.call("GET", "/mesh/pairing");
    assert.equal(open, null);
    assert.deepEqual(pending.filter((/** @type {any} */ each) => each.state !== "ended"), []);
  }
}

test("an offer that is cancelled counts no more", { timeout }, async () => {
  await dialog(there, studio);
  await inspect(there, "pair-ways");
  const link = await offer();
  assert.match(link, /^edgesync-pair:\/\/v1\/[0-9a-f]{64}\//);
  await inspect(there, "pair-code");
  await button(there, "Cancel").click();
  await button(there, "Pair a computer").waitFor();
  await join(link);
  await here.getByText("The offer does not count, or no longer does").waitFor();
  await inspect(here, "pair-refused");
  await nobodyIsPaired();
});

test("a code that is mistyped five times counts no more", { timeout }, async () => {
  await offer();
  const { ticket } = await studio.call("GET", "/mesh");
  for (let tries = 0; tries < 5; tries += 1) {
    await join(ticket, "ABCD-EFGH-2345");
    await here.getByText("The offer does not count, or no longer does").waitFor();
  }
  await there.getByText("The code no longer counts").waitFor();
  await inspect(there, "pair-over");
  await nobodyIsPaired();
});

test("who says that the digits differ pairs nobody", { timeout }, async () => {
  await join(await offer());
  await digits();
  await inspect(there, "pair-digits");
  await button(there, "Not the same").click();
  for (const page of [there, here]) await page.getByText("Not paired").waitFor();
  await nobodyIsPaired();
  await button(here, "Try again").click();
  await button(here, "Pair with it").waitFor();
});

test("who leaves the dialog while the other waits ends it for both", { timeout }, async () => {
  await join(await offer());
  await digits();
  await button(there, "The same · Accept").click();
  await there.getByText("Waiting for the other side").waitFor();
  await inspect(there, "pair-accepted");
  await button(here, "Not the same").click();
  await there.getByText("Not paired").waitFor();
  await nobodyIsPaired();
});

test("digits that were read wrongly on the other screen end it", { timeout }, async () => {
  await join(await offer());
  const shown = await digits();
  const { pending } = await studio.call("GET", "/mesh/pairing");
  const waiting = pending.find((/** @type {any} */ each) => each.state === "comparing");
  const wrong = shown === "000000" ? "000001" : "000000";
  await assert.rejects(studio.call("POST", `/mesh/pairing/pending/${waiting.id}/accept`, { digits: wrong }), /differ/);
  await here.getByText("The digits differ").waitFor();
  await there.getByText("The digits differ").waitFor();
  await nobodyIsPaired();
});

test("who knocks with the ticket alone is refused from the list", { timeout }, async () => {
  const { ticket } = await studio.call("GET", "/mesh");
  await visit(there, studio, "/mesh");
  await join(ticket);
  const row = there.locator("[data-pending]").filter({ hasText: "Asks without a code" });
  await row.waitFor();
  await inspect(there, "pair-waiting");
  await row.getByRole("button", { name: "Refuse" }).click();
  await here.getByText("Not paired").waitFor();
  await nobodyIsPaired();
});

test("two computers are paired by the code and six digits, and what is given is what is said", { timeout }, async () => {
  await offer();
  const code = (await there.locator("[data-code]").getAttribute("data-code")) ?? "";
  const { ticket } = await studio.call("GET", "/mesh");
  await join(ticket, code.toLowerCase());
  await digits();
  await here.emulateMedia({ colorScheme: "dark" });
  await here.setViewportSize({ width: 760, height: 900 });
  await inspect(here, "pair-digits-dark");
  await there.getByRole("region", { name: "Pair a computer" }).getByRole("textbox", { name: "Name" }).fill("Ada’s laptop");
  await there.getByLabel("Clone and read", { exact: true }).check();
  await there.getByLabel("In all repositories").uncheck();
  assert.ok(await button(there, "The same · Accept").isDisabled(), "nothing is given");
  await there.getByLabel("sample").check();
  await inspect(there, "pair-rights");
  await button(there, "The same · Accept").click();
  await button(here, "The same · Accept").click();
  await there.getByText("Ada’s laptop is paired.").waitFor();
  await here.getByText("studio is paired.").waitFor();
  await inspect(here, "pair-done-dark");
  await button(there, "Done").click();
  await button(here, "Done").click();
  const [member] = await members(studio);
  assert.equal(member.capabilities, "");
  assert.deepEqual(Object.values(member.projects), ["go"]);
  const row = there.locator(`[data-member='${member.endpoint_id}']`);
  await row.getByText("Clones and reads 1 project").waitFor();
  await here.locator("[data-member]").getByText("Clones, reads and writes everything").waitFor();
  await there.locator("[data-peer='Ada’s laptop'] [data-link=connected]").waitFor();
  await inspect(there, "mesh-members");
  await inspect(here, "mesh-members-dark");
  await here.emulateMedia({ colorScheme: "light" });
  await here.setViewportSize({ width: 900, height: 900 });
});

test("who is unpaired is cut off at once and for ever", { timeout }, async () => {
  const [member] = await members(studio);
  const row = there.locator(`[data-member='${member.endpoint_id}']`);
  await row.getByRole("button", { name: /^Unpair/ }).click();
  await row.getByText("It can come back only").or(row.getByText("it can come back only")).waitFor();
  await inspect(there, "mesh-unpair");
  await button(there, "Keep it").click();
  assert.equal((await members(studio)).length, 1);
  await row.getByRole("button", { name: /^Unpair/ }).click();
  await row.getByRole("button", { name: "Unpair Ada’s laptop", exact: true }).click();
  const gone = there.locator(`[data-revoked='${member.endpoint_id}']`);
  await gone.getByText("All members have heard it").waitFor();
  await there.locator("[data-peer='Ada’s laptop']").waitFor({ state: "detached" });
  await inspect(there, "mesh-unpaired");
  const peer = here.locator("[data-peer='studio']");
  await peer.locator("[data-link=error]").getByText("Unpaired").waitFor();
  await peer.getByText("Studio has unpaired this agent").waitFor();
  await inspect(here, "mesh-unpaired-there");
  await join(await offer());
  // Whoever made the offer hears it as well.
  await here.getByRole("region", { name: "Pair a computer" }).getByText("studio has unpaired this agent").waitFor();
  await there.getByRole("region", { name: "Pair a computer" }).getByText("this agent has unpaired Ada’s laptop").waitFor();
  assert.deepEqual(errors.flat(), []);
});
