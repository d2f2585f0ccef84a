// A NATS server beside the mesh, given by its wrong port: the page says which one is right.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("node:child_process").ChildProcess} */
let server;
let port = 0;

const timeout = 60_000;

before(async () => {
  port = await freePort();
  // Debian keeps it where only root's PATH looks.
  const debian = "/usr/sbin/nats-server";
  server = spawn(existsSync(debian) ? debian : "nats-server", ["-a", "127.0.0.1", "-p", String(port)], { stdio: ["ignore", "ignore", "pipe"] });
  await new Promise((resolve, reject) => {
    server.once("exit", () => reject(new Error("the server ended")));
    if (server.stderr) createInterface(server.stderr).on("line", (line) => line.includes("Server is ready") && resolve(undefined));
  });
  browser = await openBrowser();
  agent = await startAgent(["--nats-upstream", `nats-leaf://ada:s3cret@127.0.0.1:${port}`]);
});

after(async () => {
  await browser?.close();
  await agent?.remove();
  server?.kill();
});

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

test("the client port dialled as a leafnode port is named, with the right one, and no password", { timeout }, async () => {
  const { page } = await openPage(browser, agent, { height: 900 });
  await visit(page, agent, "/mesh");
  const upstream = page.locator(`[data-upstream="nats-leaf://127.0.0.1:${port}"]`);
  await upstream.getByText(`127.0.0.1:${port} is the server's port for clients`).waitFor();
  await upstream.getByText("Take nats-leaf://127.0.0.1:7422").waitFor();
  assert.ok(!(await page.content()).includes("s3cret"));
  await upstream.scrollIntoViewIfNeeded();
  await inspect(page, "mesh-upstream-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await inspect(page, "mesh-upstream-dark");
});
