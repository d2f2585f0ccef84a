// What the page knows of the agent: its status, repositories and jobs, kept true by the event stream.
import * as api from "./api";
import { problemOf } from "./http";
import { Order } from "./order";
import { ownOf, withRepository } from "./state";
import { dropToken, token } from "./token";
import type { AgentEvent, AgentPairing, AgentInfo, Devices, Job, Mesh, NotifySettings, Pause, Repository, Status, Thread } from "./types";

export type Connection = "connecting" | "connected" | "lost" | "signed-out";

/** Without a line for this long the stream counts as dead; the agent sends one every 15 s. */
const silence_ms = 40_000;
const retry_ms = [500, 1000, 2000, 4000];

let connection = $state<Connection>("connecting");
let info = $state.raw<AgentInfo | null>(null);
let pause = $state.raw<Pause | null>(null);
let repositories = $state.raw<Repository[]>([]);
const own = $derived(ownOf(repositories));
let jobs = $state.raw<Job[]>([]);
let mesh = $state.raw<Mesh | null>(null);
let devices = $state.raw<Devices | null>(null);
let pairing = $state.raw<AgentPairing | null>(null);
let threads = $state.raw<Thread[] | null>(null);
let notify = $state.raw<NotifySettings | null>(null);
/** Counts what was heard of messages, so that an open conversation knows when to look again. */
let heard = $state(0);

export const agent = {
  get connection() {
    return connection;
  },
  get info() {
    return info;
  },
  /** The pause of the whole agent, while it lasts. */
  get pause() {
    return pause;
  },
  /** Those that a person has, in the agent's order. */
  get repositories() {
    return own;
  },
  /** The one that holds the questions and answers, where the agent has them. */
  get notifyRepository() {
    return repositories.find((each) => each.notify);
  },
  get jobs() {
    return jobs;
  },
  /** `null` until the agent has told of it, and where it has no bus. */
  get mesh() {
    return mesh;
  },
  /** Computers that are to become members; `null` until the agent has told of them, and where it has no bus. */
  get pairing() {
    return pairing;
  },
  /** Phones; `null` until the agent has told of them, and where it runs without notify. */
  get devices() {
    return devices;
  },
  /** `null` until the agent has told of them, and where it runs without notify. */
  get threads() {
    return threads;
  },
  /** What a person chose about notifications; `null` where the agent runs without notify. */
  get notify() {
    return notify;
  },
  get heard() {
    return heard;
  },
  /** The repository called `name`, if the agent has it. */
  find(name: string): Repository | undefined {
    return repositories.find((each) => each.name === name);
  },
  noteRemoved,
  noteJob,
  // Each takes an answer of the API into account at once, before the stream tells of it, unless that told of the same meanwhile.
  takeMesh: (asked: Promise<Mesh>) => take(asked, "mesh", noteMesh),
  takeNotify: (asked: Promise<NotifySettings>) => take(asked, "notify", noteNotify),
  takeThread: (asked: Promise<Thread>) => take(asked, threadKey, noteThread),
  takeRepository: (asked: Promise<Repository>) => take(asked, repositoryKey, noteRepository),
  async takeRepositories(asked: Promise<Repository[]>): Promise<void> {
    const overtaken = order.begin();
    for (const each of await asked) if (!overtaken(repositoryKey(each))) noteRepository(each);
  },
};

const order = new Order();
const repositoryKey = ({ name }: { name: string }) => `repository ${name}`;
const threadKey = ({ id }: { id: string }) => `thread ${id}`;

async function take<T>(asked: Promise<T>, key: string | ((answer: T) => string), note: (answer: T) => void): Promise<T> {
  const overtaken = order.begin();
  const answer = await asked;
  if (!overtaken(typeof key === "string" ? key : key(answer))) note(answer);
  return answer;
}

function noteStatus(status: Status): void {
  info = status.agent;
  pause = status.pause;
  repositories = status.repositories;
}

function noteRepository(changed: Repository): void {
  repositories = withRepository(repositories, changed);
}

function noteRemoved(name: string): void {
  repositories = repositories.filter((each) => each.name !== name);
}

function noteJob(changed: Job): void {
  const known = jobs.some((each) => each.id === changed.id);
  jobs = known ? jobs.map((each) => (each.id === changed.id ? changed : each)) : [...jobs, changed];
}

function noteMesh(changed: Mesh): void {
  mesh = changed;
}

function noteThread(changed: Thread): void {
  const others = (threads ?? []).filter((each) => each.id !== changed.id);
  threads = [changed, ...others];
}

function noteNotify(changed: NotifySettings): void {
  notify = changed;
}

let reading = false;
let stale = false;

/** Reads the threads anew; what is heard meanwhile is read once more, after that. */
async function readThreads(): Promise<void> {
  stale = true;
  if (reading) return;
  reading = true;
  try {
    while (stale) {
      stale = false;
      threads = await api.threads();
    }
  } catch {
    // The stream tells of a lost agent; whatever else it was, the next message asks again.
  } finally {
    reading = false;
  }
}

function hear(event: AgentEvent): void {
  switch (event.event) {
    case "status":
      for (const each of event.repositories) order.heard(repositoryKey(each));
      noteStatus(event);
      break;
    case "repository":
      order.heard(repositoryKey(event.repository));
      noteRepository(event.repository);
      break;
    case "removed":
      order.heard(repositoryKey(event));
      noteRemoved(event.name);
      break;
    case "job":
      noteJob(event.job);
      break;
    case "mesh":
      order.heard("mesh");
      noteMesh(event.mesh);
      break;
    case "devices":
      devices = event.devices;
      break;
    case "pairing":
      pairing = event.pairing;
      break;
    case "message":
    case "question":
      heard += 1;
      void readThreads();
      break;
    case "thread":
      order.heard(threadKey(event.thread));
      noteThread(event.thread);
      // A list that is being read may be of before.
      if (reading) stale = true;
      break;
    case "notify_settings":
      order.heard("notify");
      // The stream does not tell who shows notifications; nobody new does by a choice.
      noteNotify({ ...event.settings, notifier: notify?.notifier ?? null });
      break;
    case "folded":
    case "log":
    case "beat":
      break;
  }
}

/** Reads one stream until it ends; throws when it can't be opened or breaks. */
async function follow(): Promise<void> {
  const abort = new AbortController();
  let silence = setTimeout(() => abort.abort(), silence_ms);
  try {
    for await (const event of api.events(abort.signal)) {
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), silence_ms);
      if (event.event === "status") await opened(event.agent);
      hear(event);
    }
  } finally {
    clearTimeout(silence);
  }
}

async function opened(agent: AgentInfo): Promise<void> {
  if (connection === "connected") return;
  const asked = agent.notify ? ([api.threads(), api.notifySettings(), api.devices()] as const) : ([null, null, null] as const);
  [jobs, mesh, pairing, threads, notify, devices] = await Promise.all([api.jobs(), api.mesh().catch(unlessPart), api.pairing().catch(unlessPart), ...asked]);
  connection = "connected";
}

/** An agent without a bus has no mesh. */
function unlessPart(thrown: unknown): null {
  if (problemOf(thrown).code === "not_found") return null;
  throw thrown;
}

/** Follows the agent for as long as the page lives. */
export async function watchAgent(): Promise<void> {
  for (let failures = 0; ; failures += 1) {
    if (!token()) {
      connection = "signed-out";
      return;
    }
    try {
      await follow();
      failures = 0;
    } catch (thrown) {
      if (problemOf(thrown).code === "unauthorized") dropToken();
      if (connection === "connected") failures = 0;
    }
    if (!token()) continue;
    connection = "lost";
    await new Promise((resolve) => setTimeout(resolve, retry_ms[Math.min(failures, retry_ms.length - 1)]));
  }
}
