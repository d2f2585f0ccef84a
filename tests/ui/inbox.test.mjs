// Questions of programs, asked by the agent's API and answered in the page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";
import { emptyRepository } from "./fossil.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Page} */
let page;

const timeout = 60_000;

before(async () => {
  browser = await openBrowser();
  agent = await startAgent(["--notify"]);
  await agent.call("POST", "/repositories/add", { path: emptyRepository(agent.folder, "notes") });
  ({ page } = await openPage(browser, agent));
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

/** @param {Record<string, unknown>} more */
const send = (more) => agent.call("POST", "/notify/send", { project: "demo", from_name: "ci", ...more });

/** @param {Record<string, unknown>} more */
const ask = (more = {}) => send({ kind: "approval", body: "Deploy 1.4 to production?", actions: ["Approve", "Reject"], default: "Reject", expires_in_ms: 480_000, ...more });

/** What has become of a question, as its asker hears it. @param {string} id */
const fate = async (id) => (await agent.call("GET", `/notify/messages/${id}/answer?wait_ms=20000`)).question;

/** @param {string} id */
const question = (id) => page.locator(`[data-question='${id}']`);

test("an inbox without a thread says how one begins", { timeout }, async () => {
  await visit(page, agent, "/inbox");
  await page.getByText("Questions of programs will be here").waitFor();
  await inspect(page, "inbox-empty");
});

test("a question comes by itself, counts in the sidebar, and is answered in the overview", { timeout }, async () => {
  await visit(page, agent, "/");
  await page.locator("[data-repository=notes]").waitFor();
  const { id } = await ask();
  await question(id).waitFor();
  await page.getByRole("link", { name: "Inbox 1 waiting" }).waitFor();
  await page.getByText(/^Expires in \d min · then: Reject$/).waitFor();
  await inspect(page, "overview-needs-you");
  await question(id).getByRole("button", { name: "Approve" }).click();
  await question(id).waitFor({ state: "detached" });
  const { source, label } = await fate(id);
  assert.deepEqual({ source, label }, { source: "answer", label: "Approve" });
  await page.getByRole("link", { name: "Inbox", exact: true }).waitFor();
});

test("the most important question stands first, digits answer the open one", { timeout }, async () => {
  await send({ body: "Backup done", from_name: "backup" });
  const usual = await ask({ body: "Merge the names?", from_name: "agent" });
  const urgent = await ask({ body: "The disk is full.\n\nDelete old logs?", priority: "urgent", from_name: "server" });
  await visit(page, agent, "/inbox");
  const first = page.locator("[data-thread]").first();
  await first.filter({ hasText: "The disk is full." }).waitFor();
  await first.click();
  await question(urgent.id).waitFor();
  await inspect(page, "inbox");
  await page.keyboard.press("2");
  await page.getByText("Reject · answered").waitFor();
  assert.equal((await fate(urgent.id)).label, "Reject");
  await page.locator("[data-thread]").first().filter({ hasText: "Merge the names?" }).waitFor();
  await page.locator("[data-thread]").first().focus();
  await page.keyboard.press("Enter");
  await question(usual.id).waitFor();
  await page.getByText("Needs an answer").waitFor();
  await page.keyboard.press("9");
  await page.keyboard.press("1");
  await page.getByText("Approve · answered").waitFor();
  assert.equal(await page.getByText("Needs an answer").count(), 0, "it is answered");
  await inspect(page, "inbox-answered");
});

test("words of one's own answer where they are taken, and digits in them choose nothing", { timeout }, async () => {
  const asked = await ask({ kind: "question", body: "Which version?", allow_text: true });
  await visit(page, agent, `/inbox/${asked.thread}`);
  await page.getByLabel("Answer in your own words").fill("1 more than before");
  await page.keyboard.press("Enter");
  await page.getByText("1 more than before · answered").waitFor();
  assert.equal((await fate(asked.id)).answer, "1 more than before");
});

test("silence ends in the declared default, and it is said", { timeout }, async () => {
  const asked = await ask({ expires_in_ms: 1500 });
  await visit(page, agent, `/inbox/${asked.thread}`);
  await page.getByText("Expired without an answer: Reject by default").waitFor();
  assert.equal(await question(asked.id).count(), 0);
  await inspect(page, "inbox-expired");
});

test("a question that was decided meanwhile says so instead of taking an answer", { timeout }, async () => {
  const asked = await ask();
  await visit(page, agent, `/inbox/${asked.thread}`);
  await question(asked.id).waitFor();
  await agent.call("POST", `/notify/messages/${asked.id}/cancel`, {});
  await page.getByText("Taken back by the one who asked").waitFor();
  assert.equal(await question(asked.id).count(), 0);
});

test("markup, escapes and marks that turn the reading direction are shown as text", { timeout }, async () => {
  const tricky = "<img src=x onerror=alert(1)> \u001b[31mred \u202egnp.exe";
  const { thread } = await send({ body: tricky });
  await visit(page, agent, `/inbox/${thread}`);
  const body = page.locator(".body").last();
  await body.waitFor();
  assert.equal(await body.innerText(), "<img src=x onerror=alert(1)> U+001B[31mred U+202Egnp.exe");
  assert.equal(await page.locator("article img").count(), 0);
});

test("a thread is written into, marked done, and put back", { timeout }, async () => {
  const { thread } = await send({ body: "Nightly build done", from_name: "nightly" });
  await visit(page, agent, `/inbox/${thread}`);
  await page.getByLabel("Write into this thread").fill("Thanks");
  await page.keyboard.press("Enter");
  await page.locator("article .body").filter({ hasText: "Thanks" }).waitFor();
  await page.getByRole("button", { name: "Mark done" }).click();
  await page.locator(`[data-thread='${thread}']`).waitFor({ state: "detached" });
  await page.getByRole("radio", { name: "Done" }).check();
  await page.locator(`[data-thread='${thread}']`).waitFor();
  await page.getByRole("button", { name: "Put back" }).click();
  await page.locator(`[data-thread='${thread}']`).waitFor({ state: "detached" });
});

test("a thread that is not there says so", { timeout }, async () => {
  await visit(page, agent, "/inbox/thread-00000000000000000000000000000000");
  await page.getByText("The thread can't be shown").waitFor();
  await inspect(page, "inbox-error");
});

for (const [key, width, height] of /** @type {const} */ ([["dark", 900, 680], ["720", 720, 480], ["phone", 390, 780]])) {
  test(`a waiting question is whole and accessible: ${key}`, { timeout }, async () => {
    const asked = await ask({ kind: "question", body: "May the agent run this command?\n\nrm -rf target/ && cargo build --release", actions: ["Once", "Always for this project", "No"], default: "No", allow_text: true });
    const other = await openPage(browser, agent, { width, height, scheme: key === "dark" ? "dark" : "light" });
    try {
      await visit(other.page, agent, `/inbox/${asked.thread}`);
      await other.page.locator(`[data-question='${asked.id}']`).waitFor();
      await inspect(other.page, `inbox-${key}`);
      await visit(other.page, agent, "/inbox");
      await other.page.locator("[data-thread]").first().waitFor();
      await inspect(other.page, `inbox-list-${key}`);
      assert.deepEqual(other.errors, []);
    } finally {
      await other.page.context().close();
    }
  });
}
