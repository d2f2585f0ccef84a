// A real headless agent with a home of its own, for one test file.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

const target = process.env.CARGO_TARGET_DIR ?? path.join(homedir(), ".cache", "edgesync", "target");
const program = process.env.EDGESYNC_PROGRAM ?? path.join(target, "debug", "edgesync");

/**
 * @typedef {object} Agent
 * @property {string} api the listener's address
 * @property {string} token
 * @property {string} folder a temporary folder, for repositories
 * @property {(method: string, route: string, body?: unknown) => Promise<any>} call asks the API
 * @property {() => Promise<void>} stop ends the agent; a later `start` continues in the same home and folder
 * @property {(options?: string[], listen?: string) => Promise<void>} start
 * @property {(...args: string[]) => import("node:child_process").ChildProcessWithoutNullStreams} run starts a command in the agent's home
 * @property {() => Promise<void>} remove ends the agent and deletes its folder
 */

/**
 * Starts `edgesync sync start` and waits until it says where it listens.
 * @param {string[]} options
 * @returns {Promise<Agent>}
 */
export async function startAgent(options = []) {
  if (!existsSync(program)) throw new Error(`${program} is missing: build it with cargo build -p edgesync`);
  const folder = mkdtempSync(path.join(tmpdir(), "edgesync-ui-"));
  // Started where no repository lies, so that it takes none up by itself.
  const nowhere = path.join(folder, "nowhere");
  mkdirSync(nowhere);
  /** @type {NodeJS.ProcessEnv} */
  const environment = { ...process.env, EDGESYNC_HOME: path.join(folder, "home"), HOME: folder, USER: "ada" };
  // Agents of other tests are none of its neighbours.
  delete environment.XDG_RUNTIME_DIR;
  /** @type {import("node:child_process").ChildProcess | null} */
  let child = null;

  /** @type {Agent} */
  const agent = {
    api: "",
    token: "",
    folder,
    async start(more = options, listen = "127.0.0.1:0") {
      child = spawn(program, ["sync", "start", "--json", "--api", listen, ...more], {
        cwd: nowhere,
        env: environment,
        stdio: ["ignore", "pipe", "inherit"],
      });
      const runtime = await ready(child);
      agent.api = runtime.api;
      agent.token = runtime.token;
    },
    async call(method, route, body) {
      const response = await fetch(`${agent.api}/api/v1${route}`, {
        method,
        headers: { authorization: `Bearer ${agent.token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${route}: ${response.status} ${text}`);
      return text === "" ? null : JSON.parse(text);
    },
    run(...args) {
      return spawn(program, args, { cwd: nowhere, env: environment });
    },
    async stop() {
      if (!child) return;
      const ended = child.exitCode === null ? new Promise((resolve) => child?.once("exit", resolve)) : null;
      child.kill("SIGTERM");
      await ended;
      child = null;
    },
    async remove() {
      await agent.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await agent.start();
  return agent;
}

/**
 * Waits for the line that says all is up.
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<{ api: string, token: string }>}
 */
function ready(child) {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status) => reject(new Error(`the agent ended with ${status} before it listened`)));
    if (!child.stdout) return reject(new Error("the agent has no output"));
    createInterface(child.stdout).on("line", (line) => {
      const said = JSON.parse(line);
      if (said.event === "ready") resolve(said);
    });
  });
}
