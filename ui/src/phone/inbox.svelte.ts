// What the phone knows of the messages, kept true by the stream for as long as the page is open.
import { problemOf } from "../lib/http";
import type { Thread } from "../lib/types";
import * as api from "./api";

export type Connection = "connecting" | "connected" | "lost" | "gone";

/** Without a line for this long the stream counts as dead; the agent sends one every 15 s. */
const silence_ms = 40_000;
/** After as much silence a stream is not trusted any more by a page that comes to the front. */
const doubt_ms = 20_000;
const retry_ms = [500, 1000, 2000, 4000];

let connection = $state<Connection>("connecting");
let session = $state.raw<api.Session | null>(null);
let threads = $state.raw<Thread[] | null>(null);
/** Counts what was heard, so that an open conversation knows when to look again. */
let heard = $state(0);
let stop: AbortController | null = null;
/** When a line came last, by a clock that goes on while the phone sleeps. */
let lineAt = 0;
/** The next stream is begun without a pause. */
let hurry = false;

export const inbox = {
  get connection() {
    return connection;
  },
  get session() {
    return session;
  },
  get threads() {
    return threads;
  },
  get heard() {
    return heard;
  },
  look,
};

/** Reads the threads anew. */
async function look(): Promise<void> {
  threads = await api.threads();
  heard += 1;
}

async function take(event: api.PhoneEvent): Promise<void> {
  switch (event.event) {
    case "session":
      session = event.session;
      await look();
      connection = "connected";
      break;
    case "message":
      if (event.show && event.message.question) navigator.vibrate?.(200);
      await look();
      break;
    case "question":
    case "missed":
      await look();
      break;
    case "gone":
      api.dropBearer();
      break;
    case "beat":
      break;
  }
}

/** Reads one stream until it ends; throws when it can't be opened or breaks. */
async function follow(): Promise<void> {
  const abort = new AbortController();
  stop = abort;
  hurry = false;
  let silence = setTimeout(() => abort.abort(), silence_ms);
  try {
    for await (const event of api.events(abort.signal)) {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), silence_ms);
      lineAt = Date.now();
      await take(event);
    }
  } finally {
    clearTimeout(silence);
  }
}

/** Follows the agent until this phone is no longer paired. */
export async function watchInbox(): Promise<void> {
  connection = "connecting";
  for (let failures = 0; api.bearer() !== null; failures += 1) {
    try {
      await follow();
      failures = 0;
    } catch (thrown) {
      if (problemOf(thrown).code === "unauthorized") break;
      if (inbox.connection === "connected") failures = 0;
    }
    connection = "lost";
    if (!hurry) await pause(retry_ms[Math.min(failures, retry_ms.length - 1)] ?? 4000);
  }
  api.dropBearer();
  session = null;
  threads = null;
  connection = "gone";
}

/** Waits, but not while the person is looking again: a page that comes to the front tries at once. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", done);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    document.addEventListener("visibilitychange", done);
    addEventListener("online", done);
  });
}

/** Begins a new stream at once. */
function renew(): void {
  hurry = true;
  stop?.abort();
}

// A phone that slept, or went from one network to another, holds a stream that nobody writes to any more.
document.addEventListener("visibilitychange", () => {
  const trusted = connection === "connected" && Date.now() - lineAt < doubt_ms;
  if (document.visibilityState === "visible" && !trusted) renew();
});
addEventListener("online", renew);
