// An inbox with a thousand threads, and with what comes from another machine: who answered there, and what came too late.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";

/** The agent whose page is looked at. @type {import("./agent.mjs").Agent} */
let here;
/** @type {import("./agent.mjs").Agent} */
let there;
/** @type {import("playwright-core").Browser} */
let browser;

const timeout = 240_000;
const threads = 1000;

/** What both repositories of messages have, so that they replicate. */
const code = "0123456789abcdef0123456789abcdef01234567";

before(async () => {
  browser = await openBrowser();
  [here, there] = await Promise.all([startAgent(), startAgent()]);
  for (const agent of [here, there]) {
    await agent.stop();
    await command(agent, "notify", "init", "--project-code", code);
  }
  await here.start(["--notify", "--peer-id", "studio"]);
  await there.start(await join());
  const ids = await Promise.all([here, there].map(async (agent) => (await agent.call("GET", "/mesh")).endpoint_id));
  await here.call("POST", "/mesh/trusted", { endpoint_id: ids[1], name: "laptop" });
  await there.call("POST", "/mesh/trusted", { endpoint_id: ids[0], name: "studio" });
}, { timeout });

after(async () => {
  await browser?.close();
  await here?.remove();
  await there?.remove();
});

/** Runs a command to its end. @param {import("./agent.mjs").Agent} agent @param {string[]} words */
async function command(agent, ...words) {
  const [status] = await once(agent.run(...words), "exit");
  assert.equal(status, 0, words.join(" "));
}

/** What the other agent is started with. */
async function join() {
  const { addresses } = await here.call("GET", "/mesh");
  const leaf = addresses.find((/** @type {any} */ address) => address.kind === "leaf").url;
  return ["--notify", "--peer-id", "laptop", "--join", leaf];
}

/** Waits until the other agent has a question. @param {string} id */
async function arrives(id) {
  for (;;) {
    const found = await there.call("GET", `/notify/messages/${id}`).catch(() => null);
    if (found) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** @param {string} body */
const ask = (body) => here.call("POST", "/notify/send", { project: "demo", from_name: "ci", kind: "question", body, actions: ["Approve", "Reject"] });

test("an answer from another machine says who and where, and one that came too late is called late", { timeout }, async () => {
  const first = await ask("Deploy 1.4?");
  await arrives(first.id);
  await command(there, "notify", "reply", "--thread", first.thread, "--action", "Approve", "--from-name", "Ada");
  const { page, errors } = await openPage(browser, here);
  await visit(page, here, `/inbox/${first.thread}`);
  await page.getByText("Approve · answered by Ada on laptop").waitFor();

  const second = await ask("Drop the old tables?");
  await arrives(second.id);
  await there.stop();
  // She answers where nobody hears her, and meanwhile the question is taken back.
  await command(there, "notify", "reply", "--thread", second.thread, "--action", "Reject", "--from-name", "Ada");
  await here.call("POST", `/notify/messages/${second.id}/cancel`, {});
  await there.start(await join());
  await visit(page, here, `/inbox/${second.thread}`);
  await page.getByText("Taken back by the one who asked").waitFor();
  const late = page.locator("article.answer").filter({ hasText: "Reject" });
  await late.getByText("late", { exact: true }).waitFor();
  await inspect(page, "inbox-late");
  assert.deepEqual(errors, []);
  await page.context().close();
});

test("of a thousand threads few rows exist, and each is reached", { timeout }, async () => {
  await there.stop();
  const numbers = Array.from({ length: threads }, (_, i) => i + 1);
  for (const number of numbers) await here.call("POST", "/notify/send", { project: "demo", from_name: "nightly", body: `Build number ${number} is done\nAll tests passed.` });
  const waits = await ask("Deploy one of them?");
  for (const scheme of /** @type {const} */ (["light", "dark"])) {
    const { page, errors } = await openPage(browser, here, { scheme });
    await visit(page, here, "/inbox");
    const rows = page.locator("[data-thread]");
    assert.equal(await rows.first().getAttribute("data-thread"), waits.thread, "what waits stands first");
    await page.getByText(`Build number ${threads} is done`).waitFor();
    assert.ok((await rows.count()) < 100, `${await rows.count()} rows`);
    await inspect(page, `inbox-1000-${scheme}`);
    await rows.first().focus();
    for (let i = 0; i < 30; i += 1) await page.keyboard.press("ArrowDown");
    await page.getByText(`Build number ${threads - 29} is done`).waitFor();
    await page.keyboard.press("Enter");
    await page.locator("article .body").filter({ hasText: `Build number ${threads - 29} is done` }).waitFor();
    await rows.first().evaluate((row) => row.closest(".scroller")?.scrollTo({ top: 1e9 }));
    await page.getByText("Deploy 1.4?").waitFor();
    assert.ok((await rows.count()) < 100);
    assert.deepEqual(errors, []);
    await page.context().close();
  }
});
