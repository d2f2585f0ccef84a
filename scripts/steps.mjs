// What `npm start` and `npm test` share: steps that announce themselves and stop at the first failure, and the folder that
// cargo builds into.

import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's top folder; every step runs in it. */
export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/**
 * Where cargo builds. Outside the clone, so that a second clone finds the dependencies compiled; `CARGO_TARGET_DIR` wins.
 */
export const targetDir =
  process.env.CARGO_TARGET_DIR ?? path.join(homedir(), ".cache", "edgesync", "target");

/** The environment of every step. Incremental files cost gigabytes and help only the one who edits. */
export const environment = {
  ...process.env,
  CARGO_TARGET_DIR: targetDir,
  CARGO_INCREMENTAL: process.env.CARGO_INCREMENTAL ?? "0",
};

const began = Date.now();

function clock(sinceMs) {
  const seconds = Math.round((Date.now() - sinceMs) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Prints a line that stands out from a tool's own output. */
export function announce(text) {
  console.log(`\n== ${text}`);
}

/** Runs one command to its end, with its output as it comes; ends this process when the command fails. */
export async function step(name, command, args) {
  announce(`${name}  (at ${clock(began)})`);
  const since = Date.now();
  const status = await run(command, args);
  if (status !== 0) {
    announce(`${name} FAILED after ${clock(since)}: ${[command, ...args].join(" ")}`);
    process.exit(status);
  }
  announce(`${name} took ${clock(since)}`);
}

/**
 * Runs a command in `folder` and returns its exit status. Ctrl-C reaches the command from the terminal; other requests to stop are
 * passed on, and this process waits for the command to end in its own way.
 */
export async function run(command, args, folder = root) {
  const child = spawn(command, args, { cwd: folder, env: environment, stdio: "inherit" });
  const pass = (signal) => child.kill(signal);
  const wait = () => {};
  process.on("SIGTERM", pass).on("SIGHUP", pass).on("SIGINT", wait);
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", (error) => reject(new Error(`cannot run ${command}: ${error.message}`)));
      child.on("exit", (code, signal) => resolve(signal ? 128 + signalNumber(signal) : code));
    });
  } finally {
    process.off("SIGTERM", pass).off("SIGHUP", pass).off("SIGINT", wait);
  }
}

function signalNumber(signal) {
  return { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[signal] ?? 0;
}

/**
 * Takes the target folder for this clone and returns what gives it back. Two clones may share the folder, but not at once:
 * one would test the programs that the other just built. Cargo tells a clone's own crates by their place in the workspace
 * and by file times, so crates that another clone left there could pass for ours; they are removed first (the dependencies
 * stay).
 */
export async function takeTargetDir() {
  mkdirSync(targetDir, { recursive: true });
  const lock = openSync(path.join(targetDir, ".edgesync-lock"), "a");
  const flock = (...flags) =>
    spawnSync("flock", [...flags, "3"], { stdio: ["ignore", "inherit", "inherit", lock] });
  if (flock("--nonblock").status !== 0) {
    announce(`waiting: another run is using ${targetDir}`);
    if (flock().status !== 0) throw new Error(`cannot lock ${targetDir} (is 'flock' installed?)`);
  }
  const note = path.join(targetDir, ".edgesync-clone");
  const last = existsSync(note) ? readFileSync(note, "utf8") : root;
  if (last !== root) {
    await step("forget another clone's crates", "cargo", ["clean", "--workspace"]);
    await step("forget another clone's release", "cargo", ["clean", "--workspace", "--release"]);
  }
  writeFileSync(note, root);
  return () => closeSync(lock);
}

/**
 * Builds the page unless it is newer than all it is made of: the agent embeds its files, so a page written anew would have
 * cargo compile everything above it again.
 */
export async function buildPage() {
  const built = path.join(root, "ui", "dist", "index.html");
  const sources = ["index.html", "vite.config.ts", "tsconfig.json", "src", "public"].map((name) => path.join(root, "ui", name));
  sources.push(path.join(root, "package-lock.json"));
  if (existsSync(built) && Math.max(...sources.map(newest)) < statSync(built).mtimeMs) {
    announce("page: built already");
    return;
  }
  await step("page: build", "npm", ["run", "--silent", "ui:build"]);
}

/** When the file, or anything in the folder, last changed. A folder changes when something in it comes or goes. */
function newest(place) {
  const found = statSync(place);
  const inside = found.isDirectory() ? readdirSync(place).map((name) => newest(path.join(place, name))) : [];
  return Math.max(found.mtimeMs, ...inside);
}

/** Installs what is missing for `mode`, one of those of scripts/setup.sh. */
export async function prepare(mode) {
  await step("install what is missing", "sh", ["scripts/setup.sh", mode]);
}
