// A phone that comes by way of a proxy, over a connection that breaks: pairing goes on, the page goes on when it is loaded anew, nothing is missed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, readCode, visit } from "./browser.mjs";
import { openPhone } from "./phone.mjs";
import { startWay } from "./way.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** The desktop's page. @type {Page} */
let desktop;
/** @type {string[]} */
let errors;
/** @type {Page} */
let phone;
/** @type {Awaited<ReturnType<typeof startWay>>} */
let way;

const timeout = 90_000;

before(async () => {
  browser = await openBrowser();
  agent = await startAgent(["--notify", "--peer-id", "studio"]);
  way = await startWay();
  ({ page: desktop, errors } = await openPage(browser, agent, { height: 900 }));
  phone = await openPhone(browser, errors);
  await phone.clock.install();
});

after(async () => {
  way?.close();
  await browser?.close();
  await agent?.remove();
});

/** Shows the code of an offer; returns what it holds. */
async function showCode() {
  await desktop.getByRole("button", { name: "Show the code" }).click();
  await desktop.locator("img.qr").waitFor();
  return readCode(desktop);
}

/** Asks, and returns the question. @param {string} body */
const ask = (body) => agent.call("POST", "/notify/send", { project: "demo", body, kind: "question", actions: ["Yes", "No"] });

/** What was decided, once it is. @param {{ id: string }} question */
async function decided(question) {
  const said = await agent.call("GET", `/notify/messages/${question.id}/answer?wait_ms=30000`);
  assert.equal(said.question.kind, "resolved");
  return said.question.answer;
}

/** The card of a question. @param {string} body */
const card = (body) => phone.getByRole("article", { name: "Question" }).filter({ hasText: body });

test("a phone is paired by way of a proxy, also when the connection breaks after the digits", { timeout }, async () => {
  await visit(desktop, agent, "/devices");
  await desktop.getByRole("button", { name: "Pair a phone" }).click();
  await desktop.getByLabel("Another address").fill("127.0.0.1");
  await desktop.getByLabel("What phones open instead").fill(way.url);
  const url = await showCode();
  assert.ok(url.startsWith(`${way.url}/#pair=`), url);
  way.lead((await agent.call("GET", "/devices")).door.listen);
  await phone.goto(url);
  const digits = phone.locator("[data-digits]");
  await digits.waitFor();
  await desktop.locator(`[data-digits="${await digits.getAttribute("data-digits")}"]`).waitFor();
  way.cut();
  await desktop.getByRole("textbox", { name: "Name" }).fill("Far phone");
  await desktop.getByLabel("Other projects").fill("demo");
  await desktop.getByRole("button", { name: "The same · Accept" }).click();
  await desktop.getByText("Accepted. Waiting for the phone…").waitFor();
  way.mend();
  await phone.getByText("Connected").waitFor();
  await desktop.getByText("Far phone is paired.").waitFor();
  await desktop.getByRole("button", { name: "Done" }).click();
});

test("the page goes on where it was when it is loaded anew", { timeout }, async () => {
  const question = await ask("Loaded anew?");
  await card("Loaded anew?").waitFor();
  await phone.reload();
  await card("Loaded anew?").getByRole("button", { name: "Yes" }).tap();
  assert.equal(await decided(question), "yes");
  await phone.getByRole("navigation", { name: "Earlier" }).getByRole("link").first().tap();
  await phone.getByText("answered by Far phone").waitFor();
  await phone.reload();
  await phone.getByText("answered by Far phone").waitFor();
  await phone.getByRole("link", { name: "All questions" }).tap();
});

test("an answer that does not leave says so, and what was asked without a connection is there when it comes back", { timeout }, async () => {
  const first = await ask("Before the cut?");
  await card("Before the cut?").waitFor();
  way.cut();
  await phone.getByText("No connection · trying again").waitFor();
  await card("Before the cut?").getByRole("button", { name: "No" }).tap();
  await phone.getByText("The answer was not sent").waitFor();
  await inspect(phone, "phone-not-sent");
  const second = await ask("During the cut?");
  way.mend();
  await card("During the cut?").getByRole("button", { name: "Yes" }).tap();
  assert.equal(await decided(second), "yes");
  await card("Before the cut?").getByRole("button", { name: "No" }).tap();
  assert.equal(await decided(first), "no");
  await phone.getByText("Nothing waits for you.").waitFor();
});

test("a phone that wakes up with a dead connection makes a new one at once", { timeout }, async () => {
  await phone.getByText("Connected").waitFor();
  way.silence();
  const question = await ask("Slept well?");
  // The agent is never silent for so long. No timer of the page runs from here on, and none of those that run would have noticed yet.
  await phone.clock.pauseAt((await phone.evaluate(() => Date.now())) + 21_500);
  await phone.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await card("Slept well?").waitFor();
  await phone.clock.resume();
  await card("Slept well?").getByRole("button", { name: "Yes" }).tap();
  assert.equal(await decided(question), "yes");
});

test("five wrong codes use an offer up, whatever is typed afterwards", { timeout }, async () => {
  const other = await openPhone(browser, errors);
  await desktop.getByRole("button", { name: "Pair a phone" }).click();
  assert.equal(await desktop.getByLabel("What phones open instead").inputValue(), way.url);
  const url = await showCode();
  const right = (await desktop.locator("[data-code]").textContent()) ?? "";
  const wrong = right.startsWith("A") ? right.replace("A", "B") : right.replace(/^./, "A");
  await other.goto(url.replace(/#.*$/, ""));
  for (const code of [wrong, wrong, wrong, wrong, wrong, right]) {
    await other.getByLabel("Code").fill(code);
    const answered = other.waitForResponse(/\/pair\/claim$/);
    await other.getByRole("button", { name: "Pair", exact: true }).tap();
    assert.equal((await answered).status(), 403);
    await other.getByText("The offer does not count, or no longer does.").waitFor();
  }
  await desktop.getByText("The code no longer counts").waitFor();
  await inspect(desktop, "devices-used-up");
  assert.deepEqual((await agent.call("GET", "/devices")).pending, []);
  await other.close();
});

test("without the proxy's address phones open this computer's own again", { timeout }, async () => {
  await desktop.getByLabel("What phones open instead").fill("");
  const url = await showCode();
  assert.ok(url.startsWith(`http://${(await agent.call("GET", "/devices")).door.listen}/#pair=`), url);
  await desktop.getByRole("button", { name: "Cancel" }).click();
  assert.deepEqual(errors, []);
});
