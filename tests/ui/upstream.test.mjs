// A NATS server beside the mesh, given by a wrong port, scheme or login: the page says what is wrong and what to write instead.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, visit } from "./browser.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("node:child_process").ChildProcess} */
let server;
const folder = mkdtempSync(path.join(tmpdir(), "edgesync-nats-"));
const at = { clients: 0, leaves: 0, members: 0, web: 0, nobody: 0 };

const timeout = 60_000;

before(async () => {
  const ports = await freePorts(5);
  [at.clients, at.leaves, at.members, at.web, at.nobody] = /** @type {[number, number, number, number, number]} */ (ports);
  const login = "authorization { user: ada, password: s3cret }";
  const config = path.join(folder, "nats.conf");
  writeFileSync(config, [
    `listen: "127.0.0.1:${at.clients}"`,
    `http: "127.0.0.1:${at.web}"`,
    login,
    `leafnodes { listen: "127.0.0.1:${at.leaves}", ${login} }`,
    `cluster { name: stock, listen: "127.0.0.1:${at.members}" }`,
  ].join("\n"));
  // Debian keeps it where only root's PATH looks.
  const debian = "/usr/sbin/nats-server";
  server = spawn(existsSync(debian) ? debian : "nats-server", ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
  await new Promise((resolve, reject) => {
    server.once("exit", () => reject(new Error("the server ended")));
    if (server.stderr) createInterface(server.stderr).on("line", (line) => line.includes("Server is ready") && resolve(undefined));
  });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

/** Ports that nobody has; asked for at once, so that no two are one. @param {number} count @returns {Promise<number[]>} */
async function freePorts(count) {
  const probes = await Promise.all(Array.from({ length: count }, () => new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => resolve(probe));
  })));
  const ports = probes.map((probe) => probe.address().port);
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  return ports;
}

for (const [what, url, message, hint] of /** @type {[string, () => string, () => string, () => string][]} */ ([
  ["the client port dialled as a leafnode port", () => `nats-leaf://ada:s3cret@127.0.0.1:${at.clients}`, () => `127.0.0.1:${at.clients} is the server's port for clients`, () => "Take nats-leaf://127.0.0.1:7422"],
  ["the leafnode port dialled as a client port", () => `nats://ada:s3cret@127.0.0.1:${at.leaves}`, () => "is the server's leafnode port", () => `Take nats-leaf://127.0.0.1:${at.leaves}`],
  ["the port of the cluster's members", () => `nats-leaf://ada:s3cret@127.0.0.1:${at.members}`, () => "is the port for members of the server's own cluster", () => `Take nats-leaf://127.0.0.1:${at.leaves}`],
  ["the port for monitoring", () => `nats://ada:s3cret@127.0.0.1:${at.web}`, () => "is a web server", () => "Take nats-leaf://127.0.0.1:7422, or nats://127.0.0.1:4222"],
  ["a port at which nobody listens", () => `nats-leaf://ada:s3cret@127.0.0.1:${at.nobody}`, () => "cannot be reached", () => "leafnodes { listen }"],
  ["a scheme that insists on TLS", () => `tls://ada:s3cret@127.0.0.1:${at.clients}`, () => "offers no TLS", () => `Take nats://127.0.0.1:${at.clients}, or have that server speak TLS`],
  ["a wrong password for leafnodes", () => `nats-leaf://ada:wrong-s3cret@127.0.0.1:${at.leaves}`, () => 'does not let in the user "ada" with this password', () => "leafnodes { authorization }"],
  ["a wrong token for clients", () => `nats://wrong-s3cret@127.0.0.1:${at.clients}`, () => "does not let in this token", () => "Compare it with the authorization of that server"],
  ["no login where one is wanted", () => `nats://127.0.0.1:${at.clients}`, () => "does not let in who shows no credentials", () => "Put USER:PASSWORD@ or TOKEN@"],
])) {
  test(`${what} is named on the page, with what is right, and no password`, { timeout }, async () => {
    const agent = await startAgent(["--nats-upstream", url()]);
    const { page } = await openPage(browser, agent, { height: 900 });
    try {
      await visit(page, agent, "/mesh");
      const upstream = page.locator("[data-upstream]");
      await upstream.getByText(message()).waitFor();
      await upstream.getByText(hint()).waitFor();
      assert.ok(!(await page.content()).includes("s3cret"));
      await upstream.scrollIntoViewIfNeeded();
      await inspect(page, `mesh-upstream-${what.replaceAll(" ", "-")}`);
      if (message().includes("port for clients")) {
        await page.emulateMedia({ colorScheme: "dark" });
        await inspect(page, "mesh-upstream-dark");
      }
    } finally {
      await page.context().close();
      await agent.remove();
    }
  });
}
