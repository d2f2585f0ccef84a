// Whole ways through the page, from the first click to what then holds.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";
import { emptyRepository, fossil, holdConnections, largeRepository, sampleRepository, serve } from "./fossil.mjs";

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;

const timeout = 60_000;

before(async () => {
  browser = await openBrowser();
  agent = await startAgent(["--serve-http", "127.0.0.1:0"]);
  ({ page } = await openPage(browser, agent));
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

test("an existing file is added and its history stands there", { timeout }, async () => {
  const file = sampleRepository(agent.folder, "sample");
  await page.getByRole("link", { name: "Add an existing file" }).click();
  await page.getByLabel("File").fill(file);
  await page.keyboard.press("Enter");
  await page.getByRole("option").filter({ hasText: "Say more in the library" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/r/sample/timeline");
});

test("a stock commit appears in the open timeline by itself", { timeout }, async () => {
  const work = path.join(agent.folder, "work");
  const file = path.join(agent.folder, "sample.fossil");
  await page.getByRole("option").nth(3).waitFor();
  fossil(agent.folder, ["open", "--workdir", work, file]);
  fossil(agent.folder, ["commit", "--allow-empty", "--no-warnings", "-m", "Made while the page is open"], { cwd: work });
  await page.getByRole("option").filter({ hasText: "Made while the page is open" }).waitFor();
});

test("a repository is created, its password shown once, and stock Fossil accepts both", { timeout }, async () => {
  const file = path.join(agent.folder, "made.fossil");
  await visit(page, agent, "/add/create");
  await page.getByLabel("File").fill(file);
  await page.getByLabel("Project name").fill("Made here");
  await page.getByLabel("User").fill("grace");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { name: "made is created" }).waitFor();
  await inspect(page, "created");
  await page.getByTestId("password").getByRole("button").click();
  const password = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(password.length >= 10, "a password that is no guess");
  assert.match(fossil(agent.folder, ["info", "-R", file]), /project-name:\s+Made here/);
  const { clone_url: url } = await agent.call("GET", "/repositories/made");
  fossil(agent.folder, ["clone", url.replace("://", `://grace:${password}@`), path.join(agent.folder, "copy.fossil"), "--once"]);
  await page.getByRole("link", { name: "Open made" }).click();
  await visit(page, agent, "/add/create");
  assert.equal(await page.getByText(password).count(), 0);
});

test("a repository is cloned from a stock server and stays equal with it", { timeout }, async () => {
  const origin = sampleRepository(path.join(agent.folder, "nowhere"), "origin");
  const server = await serve(agent.folder, origin);
  try {
    await visit(page, agent, "/add/clone");
    await page.getByLabel("URL").fill(`${server.url}`);
    await page.getByLabel("File").fill(path.join(agent.folder, "cloned.fossil"));
    await page.getByLabel("User").fill("ada");
    await page.getByLabel("Password").fill("secret");
    await page.getByRole("button", { name: "Clone", exact: true }).click();
    await page.getByRole("option").filter({ hasText: "Say more in the library" }).waitFor();
    await page.locator("header [data-state=up_to_date]").waitFor();
    fossil(agent.folder, ["tag", "add", "told", "tip", "-R", origin]);
    await page.getByRole("button", { name: "Sync now" }).click();
    await page.getByText("told").first().waitFor();
  } finally {
    await server.stop();
  }
});

test("a clone whose server is away says so and can be cancelled", { timeout }, async () => {
  await visit(page, agent, "/add/clone");
  await page.getByLabel("URL").fill("http://127.0.0.1:9/nowhere");
  await page.getByLabel("File").fill(path.join(agent.folder, "never.fossil"));
  await page.getByRole("button", { name: "Clone", exact: true }).click();
  await page.getByText("127.0.0.1:9 can't be reached").waitFor();
  await inspect(page, "clone-waiting");
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Clone", exact: true }).waitFor();
  assert.equal(await page.getByLabel("URL").inputValue(), "http://127.0.0.1:9/nowhere");
  assert.equal(existsSync(path.join(agent.folder, "never.fossil")), false);
});

test("a clone shows how far it is, wherever one looks, and goes on to its end", { timeout }, async () => {
  const origin = largeRepository(path.join(agent.folder, "nowhere"), "bit-by-bit", { checkIns: 200, files: 50 });
  // Replies so short that there are many of them.
  fossil(agent.folder, ["sql", "-R", origin, "REPLACE INTO config(name, value, mtime) VALUES('max-download', 8000, 0)"]);
  const server = await serve(agent.folder, origin);
  const door = await holdConnections(server.url, 4);
  try {
    await visit(page, agent, "/add/clone");
    await page.getByLabel("URL").fill(door.url);
    await page.getByLabel("File").fill(path.join(agent.folder, "bit-by-bit.fossil"));
    await page.getByRole("button", { name: "Clone", exact: true }).click();
    const card = page.getByRole("region", { name: /^Clone http/ });
    await card.getByText(/^[\d,]+ artifacts · .*B$/).waitFor();
    for (const scheme of /** @type {const} */ (["light", "dark"])) {
      await page.emulateMedia({ colorScheme: scheme });
      await inspect(page, `clone-progress-${scheme}`);
    }
    await visit(page, agent, "/");
    await card.getByText(/^[\d,]+ artifacts · .*B$/).waitFor();
    await inspect(page, "overview-clone-dark");
    door.release();
    await page.locator("li[data-repository=bit-by-bit] [data-state=up_to_date]").waitFor();
    await card.waitFor({ state: "detached" });
  } finally {
    await page.emulateMedia({ colorScheme: "light" });
    door.close();
    await server.stop();
    await agent.call("DELETE", "/repositories/bit-by-bit").catch(() => undefined);
  }
});

test("a clone that is refused says why and keeps what was typed", { timeout }, async () => {
  const taken = path.join(agent.folder, "sample.fossil");
  await visit(page, agent, "/add/clone");
  await page.getByLabel("URL").fill("http://127.0.0.1:9/nowhere");
  await page.getByLabel("File").fill(taken);
  await page.getByRole("button", { name: "Clone", exact: true }).click();
  await page.getByText("The clone failed").waitFor();
  assert.equal(await page.getByLabel("File").inputValue(), taken);
});

test("a pause stands on the overview with its end, and Resume ends it", { timeout }, async () => {
  await visit(page, agent, "/");
  await page.keyboard.press("ControlOrMeta+k");
  await page.keyboard.type("pause 30");
  await page.keyboard.press("Enter");
  const line = page.getByTestId("pause");
  await line.getByText(/^Paused until /).waitFor();
  await page.locator("li[data-repository=sample] [data-state=paused]").waitFor();
  await inspect(page, "paused");
  assert.notEqual((await agent.call("GET", "/status")).pause.until, null);
  await line.getByRole("button", { name: "Resume" }).click();
  await line.waitFor({ state: "detached" });
  await agent.call("POST", "/repositories/sample/pause", null);
  const card = page.locator("li[data-repository=sample]");
  await card.locator("[data-state=paused]").waitFor();
  await card.getByRole("button", { name: "Resume" }).click();
  await card.locator("[data-state=local]").waitFor();
  assert.equal((await agent.call("GET", "/status")).pause, null);
});

test("a remote is set, its failure explained, and removed again", { timeout }, async () => {
  await agent.call("POST", "/repositories/add", { path: emptyRepository(agent.folder, "lonely") });
  await visit(page, agent, "/r/lonely/timeline");
  await page.getByRole("link", { name: "Set a remote" }).click();
  await page.getByLabel("Address").fill("http://127.0.0.1:9/nowhere");
  await page.getByRole("button", { name: "Set remote" }).click();
  await page.getByRole("alert").filter({ hasText: "Can't sync with 127.0.0.1:9" }).waitFor();
  await page.getByRole("button", { name: "Remove remote" }).click();
  await page.locator("header [data-state=local]").waitFor();
  assert.equal((await agent.call("GET", "/repositories/lonely")).remote, null);
});

test("a refused login is answered where a login is changed", { timeout }, async () => {
  const server = await serve(agent.folder, path.join(agent.folder, "sample.fossil"));
  try {
    await agent.call("PUT", "/repositories/lonely/remote", { url: server.url, user: "ada", password: "wrong" });
    await visit(page, agent, "/");
    await page.locator("[data-repository=lonely]").getByRole("link", { name: "Change login" }).click();
    await page.getByRole("heading", { name: "Remote" }).waitFor();
    assert.equal(await page.getByLabel("User").inputValue(), "ada");
    await agent.call("PUT", "/repositories/lonely/remote", { url: null });
  } finally {
    await server.stop();
  }
});

test("a clone that failed behind one's back is told until it is dismissed", { timeout }, async () => {
  const target = path.join(agent.folder, "refused.fossil");
  const server = await serve(agent.folder, path.join(agent.folder, "sample.fossil"));
  try {
    await visit(page, agent, "/");
    await agent.call("POST", "/repositories/clone", { url: server.url, path: target, user: "ada", password: "wrong" });
    const notice = page.getByRole("alert").filter({ hasText: "The server does not accept this user name and password" });
    await notice.waitFor();
    await notice.getByRole("button", { name: "Dismiss" }).click();
    await notice.waitFor({ state: "detached" });
    await page.reload();
    await page.locator("[data-repository=sample]").waitFor();
    assert.equal(await notice.count(), 0);
  } finally {
    await server.stop();
  }
});

test("a failed clone is asked for again with what was typed, but not with the password", { timeout }, async () => {
  const target = path.join(agent.folder, "again.fossil");
  const server = await serve(agent.folder, path.join(agent.folder, "sample.fossil"));
  const held = await holdConnections(server.url);
  try {
    await visit(page, agent, "/add/clone");
    await page.getByLabel("URL").fill(held.url);
    await page.getByLabel("File").fill(target);
    await page.getByLabel("User").fill("ada");
    await page.getByLabel("Password").fill("wrong");
    await page.getByRole("button", { name: "Clone", exact: true }).click();
    await page.getByText("You can leave this page").waitFor();
    await page.getByRole("navigation", { name: "Places" }).getByRole("link", { name: "Overview" }).click();
    held.release();
    await page.getByRole("alert").getByRole("button", { name: "Clone again" }).click();
    assert.equal(await page.getByLabel("URL").inputValue(), held.url);
    assert.equal(await page.getByLabel("File").inputValue(), target);
    assert.equal(await page.getByLabel("User").inputValue(), "ada");
    assert.equal(await page.getByLabel("Password").inputValue(), "");
  } finally {
    held.close();
    await server.stop();
    await visit(page, agent, "/");
    await page.getByRole("alert").getByRole("button", { name: "Dismiss" }).click();
  }
});

test("a forgotten repository is gone from the app and its file is kept", { timeout }, async () => {
  await visit(page, agent, "/r/lonely/settings");
  await page.getByRole("button", { name: "Forget lonely" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.locator("[data-repository=lonely]").waitFor({ state: "detached" });
  assert.ok(existsSync(path.join(agent.folder, "lonely.fossil")));
});

test("a download is the artifact's own bytes", { timeout }, async () => {
  await visit(page, agent, "/r/sample/files/release-1.1/data.bin");
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const download = await coming;
  assert.equal(download.suggestedFilename(), "data.bin");
  assert.deepEqual([...readFileSync(await download.path())].slice(0, 4), [0, 7, 14, 21]);
});

test("a stopped agent is missed at once; a new one wants a fresh link", { timeout }, async () => {
  const { port } = new URL(agent.api);
  await visit(page, agent, "/");
  await page.locator("[data-repository=sample]").waitFor();
  await agent.stop();
  await page.getByText("The agent is not answering · retrying").waitFor();
  await inspect(page, "disconnected");
  await agent.start([], `127.0.0.1:${port}`);
  await page.getByRole("heading", { name: "This page needs a fresh link" }).waitFor();
  await inspect(page, "signed-out");
});
