// Repositories made by stock Fossil.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import path from "node:path";
import { createInterface } from "node:readline";

/**
 * Runs stock Fossil and returns what it prints.
 * @param {string} folder where it works; also its home
 * @param {string[]} args
 * @param {{ cwd?: string, input?: string }} [options]
 */
export function fossil(folder, args, options = {}) {
  return execFileSync("fossil", args, {
    cwd: options.cwd ?? folder,
    env: { ...process.env, HOME: folder, FOSSIL_HOME: folder, USER: "ada", FOSSIL_USER: "ada" },
    encoding: "utf8",
    maxBuffer: 1 << 28,
    ...(options.input === undefined ? {} : { input: options.input }),
  });
}

/**
 * An empty repository: nothing but Fossil's initial check-in, or not even that.
 * @param {string} folder
 * @param {string} name
 */
export function emptyRepository(folder, name) {
  const file = path.join(folder, `${name}.fossil`);
  fossil(folder, ["new", "--date-override", "2026-03-14T09:00:00", "--project-name", name, "--admin-user", "ada", file]);
  fossil(folder, ["user", "password", "ada", "secret", "-R", file]);
  return file;
}

/**
 * A small repository with everything that a history shows: branches, a merge, tags, a rename, a deletion, an executable,
 * a picture, a binary, odd names, a wiki page.
 * @param {string} folder
 * @param {string} name
 */
export function sampleRepository(folder, name) {
  const file = emptyRepository(folder, name);
  const work = path.join(folder, `${name}-work`);
  mkdirSync(work);
  let minute = 0;
  const run = (/** @type {string[]} */ ...args) => fossil(folder, args, { cwd: work });
  const put = (/** @type {string} */ at, /** @type {string | Buffer} */ content) => {
    mkdirSync(path.dirname(path.join(work, at)), { recursive: true });
    writeFileSync(path.join(work, at), content);
  };
  const commit = (/** @type {string} */ comment, /** @type {string[]} */ ...more) => {
    minute += 7;
    run("addremove");
    const date = new Date(Date.UTC(2026, 2, 14, 9, minute)).toISOString().slice(0, 19);
    run("commit", "--no-warnings", "--allow-empty", "--date-override", date, "-m", comment, ...more);
  };
  run("open", file);
  put("README.md", readme);
  put("src/main.rs", rust(20));
  put("src/old name.rs", rust(12));
  put("docs/guide/\u00fcber uns.md", "Gr\u00fc\u00dfe\n");
  commit("Begin");
  put("src/main.rs", rust(20).replace("total += 3;", "total += 33;"));
  commit("Count further\n\nThree was not enough for the larger inputs, and nothing checked the\ntotal on the way.\n\n- counts 33\n- leaves the rest");
  put("icon.png", Buffer.from(png, "base64"));
  put("data.bin", Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7) % 256)));
  put("run.sh", "#!/bin/sh\nexec true\n");
  chmodSync(path.join(work, "run.sh"), 0o755);
  commit("Add a picture, a binary and a script");
  run("mv", "--hard", "src/old name.rs", "src/new name.rs");
  commit("Rename a file", "--branch", "feature/names");
  rmSync(path.join(work, "docs", "guide", "\u00fcber uns.md"));
  commit("Delete the guide");
  run("update", "trunk");
  put("src/lib.rs", rust(6));
  commit("Add a library", "--tag", "release-1.0");
  run("merge", "feature/names");
  commit("Merge the names", "--tag", "release-1.1");
  run("wiki", "create", "Architecture", "-R", file, path.join(work, "README.md"));
  put("src/lib.rs", rust(7));
  commit("Say more in the library");
  run("close", "--force");
  rmSync(work, { recursive: true });
  return file;
}

/**
 * A repository with `checkIns` check-ins on several branches and `files` files, imported by stock Fossil.
 * @param {string} folder
 * @param {string} name
 * @param {{ checkIns: number, files: number }} size
 */
export function largeRepository(folder, name, { checkIns, files }) {
  const file = path.join(folder, `${name}.fossil`);
  importGit(folder, file, fastImport(checkIns, files));
  return file;
}

/**
 * Seven branches side by side, as a busy project has them.
 * @param {string} folder
 * @param {string} name
 */
export function branchyRepository(folder, name) {
  const file = path.join(folder, `${name}.fossil`);
  /** @type {string[]} */
  const out = [];
  /** @type {Record<number, number>} */
  const tips = {};
  for (let mark = 1; mark <= 60; mark += 1) {
    const branch = mark <= 7 ? mark : 1 + ((mark * 5) % 7);
    const parent = tips[branch] ?? tips[1];
    const comment = `Change number ${mark}`;
    out.push(`commit refs/heads/${branch === 1 ? "master" : `topic/a-long-name-${branch}`}\nmark :${mark}\ncommitter ada <ada> ${1700000000 + mark * 5000} +0000\n`);
    out.push(`data ${comment.length}\n${comment}\n${parent ? `from :${parent}\n` : ""}M 644 inline src/file-${branch}.txt\ndata 4\n${String(mark).padStart(3, "0")}\n\n`);
    tips[branch] = mark;
  }
  importGit(folder, file, out.join(""));
  return file;
}

/**
 * Makes a repository of a git fast-import stream.
 * @param {string} folder
 * @param {string} file
 * @param {string} input
 */
function importGit(folder, file, input) {
  const done = spawnSync("fossil", ["import", "--git", "--rename-master", "trunk", file], {
    cwd: folder,
    env: { ...process.env, HOME: folder, FOSSIL_HOME: folder, USER: "ada", FOSSIL_USER: "ada" },
    input,
    maxBuffer: 1 << 28,
  });
  if (done.status !== 0) throw new Error(`fossil import ended with ${done.status}: ${done.stderr}`);
}

/**
 * A git fast-import stream: a trunk, of which a branch leaves every 40 check-ins and comes back ten later.
 * @param {number} checkIns
 * @param {number} files
 */
function fastImport(checkIns, files) {
  /** @type {string[]} */
  const out = [];
  const start = Date.UTC(2024, 0, 1) / 1000;
  const data = (/** @type {string} */ text) => `data ${Buffer.byteLength(text)}\n${text}\n`;
  const pathOf = (/** @type {number} */ n) => `part-${String(n % 10)}/file-${String(n).padStart(4, "0")}.txt`;
  let branchTip = 0;
  let trunkTip = 0;
  for (let mark = 1; mark <= checkIns; mark += 1) {
    const phase = mark % 40;
    const aside = phase >= 20 && phase < 30 && phase % 2 === 0;
    const ref = aside ? `refs/heads/topic-${Math.floor(mark / 40)}` : "refs/heads/master";
    const parent = aside ? branchTip || trunkTip : trunkTip;
    out.push(`commit ${ref}\nmark :${mark}\ncommitter ${["ada", "grace", "linus"][mark % 3]} <${["ada", "grace", "linus"][mark % 3]}> ${start + mark * 1800} +0000\n`);
    out.push(data(`Change number ${mark}${mark % 5 === 0 ? ", told at some length because people do tell things at length" : ""}`));
    if (parent > 0) out.push(`from :${parent}\n`);
    if (phase === 31 && branchTip > 0) out.push(`merge :${branchTip}\n`);
    if (mark === 1) for (let n = 0; n < files; n += 1) out.push(`M 644 inline ${pathOf(n)}\n${data(`file ${n}\n`)}`);
    else out.push(`M 644 inline ${pathOf(mark % files)}\n${data(`file ${mark % files}\nchanged by ${mark}\n`)}`);
    if (aside) branchTip = mark;
    else trunkTip = mark;
    if (phase === 31) branchTip = 0;
  }
  return out.join("");
}

/**
 * Serves a repository as stock Fossil does, until `stop`.
 * @param {string} folder
 * @param {string} file
 * @returns {Promise<{ url: string, stop: () => Promise<void> }>}
 */
export async function serve(folder, file) {
  const child = spawn("fossil", ["server", "--localhost", "--port", String(await freePort()), file], {
    cwd: folder,
    env: { ...process.env, HOME: folder, FOSSIL_HOME: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const port = await new Promise((resolve, reject) => {
    child.once("exit", (status) => reject(new Error(`fossil server ended with ${status}`)));
    for (const stream of [child.stdout, child.stderr]) {
      createInterface(stream).on("line", (line) => {
        const found = /port (\d+)/.exec(line);
        if (found) resolve(found[1]);
      });
    }
  });
  return {
    url: `http://127.0.0.1:${port}/`,
    async stop() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/**
 * A door before a server that lets the first `free` connections through and then nobody until `release`.
 * @param {string} url
 * @param {number} [free]
 * @returns {Promise<{ url: string, release: () => void, close: () => void }>}
 */
export function holdConnections(url, free = 0) {
  let left = free;
  let release = () => {};
  const open = new Promise((resolve) => (release = () => resolve(undefined)));
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();
  const door = createServer((inside) => {
    sockets.add(inside.on("error", () => {}));
    left -= 1;
    void (left >= 0 ? Promise.resolve() : open).then(() => {
      const outside = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => inside.destroy());
      sockets.add(outside);
      inside.pipe(outside).pipe(inside);
    });
  });
  const close = () => {
    door.close();
    for (const socket of sockets) socket.destroy();
  };
  return new Promise((resolve, reject) => {
    door.once("error", reject);
    door.listen(0, "127.0.0.1", () => {
      const address = door.address();
      resolve({ url: `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/`, release, close });
    });
  });
}

/** @returns {Promise<number>} a port that nobody listens at */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** A document with what documents have, and with what must not come through. */
const readme = `# Sample

A repository with *a bit* of **everything**: see [the code](src/main.rs), [the web](https://example.org/) and \`count()\`.

<p align="center"><img src="x" onerror="document.title = 'taken'">Words in <b>HTML</b> stay words &amp; signs.</p>
<script>document.title = "taken"</script>

- [x] counts
- [ ] <a href="javascript:document.title='taken'">links</a>, [more](javascript:document.title='taken')

| part | lines |
|------|------:|
| \`main.rs\` | 27 |

> Quoted.

\`\`\`rust
let total = 3;
\`\`\`

![A picture](icon.png)
`;

/** @param {number} lines */
function rust(lines) {
  const body = Array.from({ length: lines }, (_, i) => `    total += ${i};`).join("\n");
  return `//! Counts.\n\n/// Returns the total.\npub fn count() -> u64 {\n    let mut total = 0;\n${body}\n    total\n}\n`;
}

/** A 2 by 2 picture. */
const png = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGPgzk4BIgYIBQAWggNp5NL2ogAAAABJRU5ErkJggg==";
