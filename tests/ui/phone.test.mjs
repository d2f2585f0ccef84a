// A phone is paired, hears a question, and answers it: the whole way, from the picture of the QR code on.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, readCode, visit } from "./browser.mjs";
import { largeEnough, openPhone } from "./phone.mjs";

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

const timeout = 90_000;
const options = ["--notify", "--peer-id", "studio"];

before(async () => {
  browser = await openBrowser();
  agent = await startAgent(options);
  ({ page: desktop, errors } = await openPage(browser, agent, { height: 900 }));
  phone = await openPhone(browser, errors);
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

/** Asks on the command line, as a program does. @param {string[]} args */
function ask(...args) {
  const child = agent.run("notify", "ask", "--json", ...args);
  let output = "";
  child.stdout.on("data", (bytes) => (output += bytes));
  const ended = once(child, "exit");
  return async () => {
    const [status] = await ended;
    return { status, answer: output === "" ? null : JSON.parse(output) };
  };
}

test("a phone is paired by the picture of the code and six digits", { timeout }, async () => {
  await visit(desktop, agent, "/devices");
  await desktop.getByText("It needs no app and no account").waitFor();
  await inspect(desktop, "devices-empty");
  await desktop.getByRole("button", { name: "Pair a phone" }).click();
  await desktop.getByText("by plain HTTP: others in the same network could listen").waitFor();
  await desktop.getByLabel("Another address").fill("127.0.0.1");
  await inspect(desktop, "devices-address");
  await desktop.getByRole("button", { name: "Show the code" }).click();
  await desktop.locator("img.qr").waitFor();
  await inspect(desktop, "devices-code");
  const url = await readCode(desktop);
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/#pair=[0-9a-f]{64}\.[0-9a-f]{32}$/);
  assert.ok(!url.includes(agent.token));

  await phone.goto(url);
  const shown = phone.locator("[data-digits]");
  await shown.waitFor();
  assert.ok(!phone.url().includes("pair="), "the secret is out of the address");
  await desktop.locator("[data-digits]").waitFor();
  assert.equal(await desktop.locator("[data-digits]").getAttribute("data-digits"), await shown.getAttribute("data-digits"));
  await inspect(phone, "phone-digits");
  await largeEnough(phone);
  const accept = desktop.getByRole("button", { name: "The same · Accept" });
  assert.ok(await accept.isDisabled(), "nothing is given by default");
  await desktop.getByRole("textbox", { name: "Name" }).fill("Ada’s phone");
  await desktop.getByLabel("Other projects").fill("demo");
  await inspect(desktop, "devices-digits");
  await accept.click();
  await phone.getByText("Connected").waitFor();
  await phone.getByText("Keep this page open to hear").waitFor();
  await inspect(phone, "phone-empty");
  await desktop.getByText("Ada’s phone is paired.").waitFor();
  await desktop.getByRole("button", { name: "Done" }).click();
  await desktop.locator("[data-device='Ada’s phone']").getByText("Connected").waitFor();
  await inspect(desktop, "devices");
});

test("a question asked on the command line is answered with a tap", { timeout }, async () => {
  const answered = ask("--project", "demo", "--action", "Approve", "--action", "Reject", "--timeout", "10m", "--default", "Reject", "Deploy 1.4 to production?");
  await phone.getByText("Deploy 1.4 to production?").waitFor();
  await phone.getByText(/then: Reject$/).waitFor();
  await inspect(phone, "phone-question");
  await largeEnough(phone);
  await phone.getByRole("button", { name: "Approve" }).tap();
  const { status, answer } = await answered();
  assert.equal(status, 0);
  assert.equal(answer.answer, "approve");
  assert.equal(answer.by_name, "Ada’s phone");
  await phone.getByText("Nothing waits for you.").waitFor();
});

test("words of one's own answer where they are taken, and the conversation says who did", { timeout }, async () => {
  const answered = ask("--project", "demo", "Which branch?");
  await phone.getByLabel("Answer in your own words").fill("release/1.4");
  await inspect(phone, "phone-words");
  await phone.getByRole("button", { name: "Send" }).tap();
  assert.equal((await answered()).answer.answer, "release/1.4");
  await phone.getByRole("navigation", { name: "Earlier" }).getByRole("link").filter({ hasText: "release/1.4" }).tap();
  await phone.getByText("release/1.4 · answered by Ada’s phone").waitFor();
  await inspect(phone, "phone-conversation");
  await largeEnough(phone);
  await phone.getByRole("link", { name: "All questions" }).tap();
  await phone.getByText("Nothing waits for you.").waitFor();
});

test("what is of another project never comes to the phone", { timeout }, async () => {
  const secret = await agent.call("POST", "/notify/send", { project: "secret", body: "Fire everybody?", kind: "question", actions: ["Yes"] });
  await agent.call("POST", "/notify/send", { project: "demo", body: "<b>Tea</b> \u202eis ready" });
  const row = phone.getByRole("navigation", { name: "Earlier" }).getByRole("link").first();
  await row.filter({ hasText: "<b>Tea</b> U+202Eis ready" }).waitFor();
  assert.equal(await phone.getByText("Fire everybody?").count(), 0);
  const tried = await phone.evaluate(async (thread) => {
    const headers = { authorization: `Bearer ${localStorage.getItem("edgesync-device")}` };
    const paths = [`/phone/v1/threads/${thread}`, "/api/v1/status", "/api/v1/repositories", "/api/v1/devices", "/notify/demo"];
    return Promise.all(paths.map(async (path) => (await fetch(path, { headers })).status));
  }, secret.thread);
  assert.deepEqual(tried, [404, 404, 404, 404, 404]);
  const desktopApi = await fetch(`${agent.api}/api/v1/status`, { headers: { authorization: `Bearer ${await phone.evaluate(() => localStorage.getItem("edgesync-device"))}` } });
  assert.equal(desktopApi.status, 401);
  assert.equal(await phone.evaluate((token) => JSON.stringify([localStorage, sessionStorage, document.documentElement.outerHTML]).includes(token), agent.token), false);
});

test("a question that the phone alone had reached somebody, and one that it may not see reached nobody", { timeout }, async () => {
  const had = ask("--project", "demo", "--action", "Yes", "--timeout", "4s", "Coffee?");
  await phone.getByText("Coffee?").waitFor();
  const { status, answer } = await had();
  assert.deepEqual([status, answer.error.code], [2, "timed_out"]);
  const unheard = await ask("--project", "secret", "--action", "Yes", "--timeout", "1s", "Fire nobody?")();
  assert.deepEqual([unheard.status, unheard.answer.error.code], [4, "unreachable"]);
  await phone.getByText("Nothing waits for you.").waitFor();
});

test("the connection is said, and comes back by itself", { timeout }, async () => {
  await agent.stop();
  await phone.getByText("No connection · trying again").waitFor();
  await inspect(phone, "phone-lost");
  await agent.start();
  await phone.getByText("Connected").waitFor();
  await openDesktop();
});

test("a phone is paired from a terminal, in the dark, by the typed code", { timeout }, async () => {
  const dark = await openPhone(browser, errors, "dark");
  const child = agent.run("notify", "pair", "--json", "--name", "Kitchen", "--project", "demo", "--read-only", "--listen", "127.0.0.1");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const made = JSON.parse((await lines.next()).value);
  // The picture was half off the camera.
  await dark.goto(made.url.slice(0, -3));
  await dark.getByText("The code was not read whole.").waitFor();
  assert.ok(!dark.url().includes("pair="), "no part of the secret stays in the address");
  await inspect(dark, "phone-damaged-dark");
  await dark.getByLabel("Code").fill(made.code.toLowerCase());
  await inspect(dark, "phone-code-dark");
  await dark.getByRole("button", { name: "Pair", exact: true }).tap();
  await dark.locator("[data-digits]").waitFor();
  await inspect(dark, "phone-digits-dark");
  child.stdin.write(`${await dark.locator("[data-digits]").getAttribute("data-digits")}\n`);
  await dark.getByText("Connected").waitFor();
  let rest = "";
  for await (const line of lines) rest += line;
  assert.equal(JSON.parse(rest).name, "Kitchen");
  await agent.call("POST", "/notify/send", { project: "demo", body: "Anybody?", kind: "question", actions: ["Yes"] });
  await dark.getByText("This phone may read, and not answer.").waitFor();
  await inspect(dark, "phone-question-dark");
  const unpair = agent.run("notify", "unpair", "Kitchen");
  assert.equal((await once(unpair, "exit"))[0], 0);
  await dark.getByText("It was removed at the computer").waitFor();
  await dark.close();
});

test("digits that differ pair nobody", { timeout }, async () => {
  const other = await openPhone(browser, errors);
  await visit(desktop, agent, "/devices");
  await desktop.getByRole("button", { name: "Pair a phone" }).click();
  await desktop.getByRole("button", { name: "Show the code" }).click();
  await desktop.locator("img.qr").waitFor();
  await other.goto(await readCode(desktop));
  await other.locator("[data-digits]").waitFor();
  await desktop.getByRole("button", { name: "Not the same" }).click();
  await other.getByText("The digits differed. The phone is not paired.").waitFor();
  await desktop.getByText("The digits differed.").waitFor();
  await inspect(desktop, "devices-refused");
  await inspect(other, "phone-refused");
  await desktop.getByRole("button", { name: "Cancel" }).click();
  // The next code is opened in the tab that is open, where the address differs behind the # alone.
  await desktop.getByRole("button", { name: "Pair a phone" }).click();
  await desktop.getByRole("button", { name: "Show the code" }).click();
  await desktop.locator("img.qr").waitFor();
  await other.goto(await readCode(desktop));
  await other.locator("[data-digits]").waitFor();
  assert.ok(!other.url().includes("pair="), "the secret is out of the address");
  await desktop.getByRole("button", { name: "Not the same" }).click();
  await other.getByText("The digits differed. The phone is not paired.").waitFor();
  await desktop.getByRole("button", { name: "Cancel" }).click();
  await other.close();
});

test("a revoked phone goes blank at once", { timeout }, async () => {
  await desktop.locator("[data-device='Ada’s phone']").getByRole("button", { name: "Revoke…" }).click();
  await desktop.getByRole("button", { name: "Revoke", exact: true }).click();
  await phone.getByText("It was removed at the computer").waitFor();
  await inspect(phone, "phone-revoked");
  assert.equal(await phone.evaluate(() => localStorage.getItem("edgesync-device")), null);
  await desktop.getByText("It needs no app and no account").waitFor();
  assert.equal((await agent.call("GET", "/devices")).door, null);
  assert.deepEqual(errors, []);
});

/** The desktop's page after a start: address and token are new. */
async function openDesktop() {
  await desktop.context().close();
  const opened = await openPage(browser, agent, { height: 900 });
  desktop = opened.page;
}
