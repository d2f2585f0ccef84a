// The way between a phone and the computer, as radio has it: it can be cut, and it can go silent with nobody told.

import { once } from "node:events";
import { connect, createServer } from "node:net";

/** @typedef {import("node:net").Socket} Socket */

/** Begins a way that leads nowhere yet. */
export async function startWay() {
  /** @type {string | null} */
  let target = null;
  let open = true;
  /** @type {Set<{ near: Socket, far: Socket, streams: boolean }>} */
  const pairs = new Set();

  const server = createServer((near) => {
    near.on("error", () => undefined);
    if (!open || target === null) return void near.destroy();
    const [host, port] = target.split(":");
    const far = connect(Number(port), host);
    const pair = { near, far, streams: false };
    pairs.add(pair);
    far.on("data", (bytes) => {
      pair.streams ||= bytes.includes("application/x-ndjson");
    });
    far.on("error", () => near.destroy());
    near.on("close", () => far.destroy());
    far.on("close", () => {
      near.destroy();
      pairs.delete(pair);
    });
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");

  return {
    url: `http://127.0.0.1:${address.port}`,
    /** Where the way leads. @param {string} listen */
    lead(listen) {
      target = listen;
    },
    /** Ends every connection, and takes no new one. */
    cut() {
      open = false;
      for (const { near } of pairs) near.destroy();
    },
    /** Carries nothing more of the streams that are open, and tells neither end. Other connections end. */
    silence() {
      for (const { near, far, streams } of pairs) {
        if (!streams) near.destroy();
        near.unpipe(far).resume();
        far.unpipe(near).resume();
      }
    },
    /** Takes connections again. What was silent stays silent. */
    mend() {
      open = true;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}
