// The one place that talks to the agent: paths, the token, errors. See `docs/api.md`.
import type {
  AgentEvent,
  AgentPairing,
  Bridge,
  CheckIn,
  Checkup,
  Conversation,
  Created,
  Devices,
  FileContent,
  FileDiff,
  FileList,
  Job,
  Join,
  LogPage,
  MadeOffer,
  Mesh,
  Message,
  NotifySettings,
  PendingAgent,
  QuietHours,
  Repository,
  Role,
  SetTunnel,
  Status,
  Thread,
  TimelinePage,
  Trusted,
} from "./types";
import { request, type Host } from "./http";
import { lines } from "./ndjson";
import { token } from "./token";

const base = "/api/v1";
const agent: Host = { name: "The agent", offline: "It may be stopped or restarting." };

function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  return request(agent, { method, url: base + path, bearer: token(), body, signal });
}

async function json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(method, path, body, signal);
  return (await response.json()) as T;
}

async function nothing(method: string, path: string): Promise<void> {
  await send(method, path);
}

const repository = (name: string) => `/repositories/${encodeURIComponent(name)}`;
const checkIn = (name: string, version: string) => `${repository(name)}/check-ins/${encodeURIComponent(version)}`;

/** One line of the event stream after the other, until it ends or `signal` fires. */
export async function* events(signal: AbortSignal): AsyncGenerator<AgentEvent> {
  const response = await send("GET", "/events", undefined, signal);
  if (!response.body) return;
  for await (const line of lines(response.body)) yield JSON.parse(line) as AgentEvent;
}

/** A Fossil server, and whom it is asked as. */
export interface Server {
  url: string;
  user?: string;
  password?: string;
}

/** The server as a person typed it; what stayed empty is left out. */
export const serverOf = (url: string, user: string, password: string): Server => ({
  url: url.trim(),
  ...(user.trim() ? { user: user.trim() } : {}),
  ...(password ? { password } : {}),
});

export const add = (path: string) => json<Repository>("POST", "/repositories/add", { path });

export const create = (body: { path: string; project_name?: string; user?: string }) =>
  json<Created>("POST", "/repositories/create", body);

export const clone = (body: Server & { path?: string }) =>
  json<Job>("POST", "/repositories/clone", body);

export const forget = (name: string) => nothing("DELETE", repository(name));

export const setRemote = (name: string, remote: Server | { url: null }) =>
  json<Repository>("PUT", `${repository(name)}/remote`, remote);

export const sync = (name: string) => json<Repository>("POST", `${repository(name)}/sync`);

export const syncAll = () => json<Repository[]>("POST", "/sync");

/** Has nothing pulled or pushed by itself: for so long, until then, or (`null`) until somebody resumes. */
export const pause = (wish: { for_ms: number } | { until: string } | null) => json<Status>("POST", "/pause", wish);

export const resume = () => json<Status>("POST", "/resume");

export const pauseOne = (name: string) => json<Repository>("POST", `${repository(name)}/pause`, null);

export const resumeOne = (name: string) => json<Repository>("POST", `${repository(name)}/resume`);

export const jobs = (signal?: AbortSignal) => json<Job[]>("GET", "/jobs", undefined, signal);

export const cancelJob = (id: string) => nothing("DELETE", `/jobs/${encodeURIComponent(id)}`);

export const reveal = (name: string) => send("POST", "/shell/reveal", { name });

/** Has the agent look at itself and around; takes seconds where a remote is slow. */
export const doctor = (signal?: AbortSignal) => json<Checkup>("GET", "/doctor", undefined, signal);

/** The log after the line with this number. */
export const log = (after: number, signal?: AbortSignal) => json<LogPage>("GET", `/log?after=${after}`, undefined, signal);

/** Ends the agent, and with it the app. */
export const quit = () => nothing("POST", "/quit");

export const timeline = (name: string, query: { offset: number; limit: number; type: string }, signal?: AbortSignal) =>
  json<TimelinePage>(
    "GET",
    `${repository(name)}/timeline?offset=${query.offset}&limit=${query.limit}&type=${query.type}`,
    undefined,
    signal,
  );

export const checkInOf = (name: string, version: string, signal?: AbortSignal) =>
  json<CheckIn>("GET", checkIn(name, version), undefined, signal);

export const diffOf = (name: string, version: string, path: string, signal?: AbortSignal) =>
  json<FileDiff>("GET", `${checkIn(name, version)}/diff?path=${encodeURIComponent(path)}`, undefined, signal);

export const filesOf = (name: string, version: string, signal?: AbortSignal) =>
  json<FileList>("GET", `${checkIn(name, version)}/files`, undefined, signal);

export const fileOf = (name: string, version: string, path: string, signal?: AbortSignal) =>
  json<FileContent>("GET", `${checkIn(name, version)}/file?path=${encodeURIComponent(path)}`, undefined, signal);

export const mesh = () => json<Mesh>("GET", "/mesh");

export const setRole = (role: Role) => json<Mesh>("PUT", "/mesh/role", { role });

export const setTunnel = (tunnel: SetTunnel) => json<Mesh>("PUT", "/mesh/tunnel", tunnel);

export const addJoin = (url: string) => json<Join>("POST", "/mesh/joins", { url });

export const removeJoin = (id: string) => nothing("DELETE", `/mesh/joins/${encodeURIComponent(id)}`);

export const addBridge = (server: Server) => json<Bridge>("POST", "/mesh/bridges", server);

export const removeBridge = (id: string) => nothing("DELETE", `/mesh/bridges/${encodeURIComponent(id)}`);

export const trusted = (signal?: AbortSignal) => json<Trusted[]>("GET", "/mesh/trusted", undefined, signal);

export const trust = (body: { endpoint_id: string; name?: string }) => json<Trusted>("POST", "/mesh/trusted", body);

export const distrust = (endpointId: string) => nothing("DELETE", `/mesh/trusted/${encodeURIComponent(endpointId)}`);

/** Takes all rights from a member, for ever and everywhere. */
export const unpair = (endpointId: string) => nothing("DELETE", `/mesh/members/${encodeURIComponent(endpointId)}`);

export const pairing = () => json<AgentPairing>("GET", "/mesh/pairing");

export const offerPairing = () => json<MadeOffer>("POST", "/mesh/pairing/offer");

export const withdrawPairing = () => nothing("DELETE", "/mesh/pairing/offer");

export const claimOffer = (body: { offer: string; code?: string }) => json<PendingAgent>("POST", "/mesh/pairing/claim", body);

export const acceptAgent = (id: string, body: { name?: string; capabilities: string; projects: string[] | null }) =>
  send("POST", `/mesh/pairing/pending/${encodeURIComponent(id)}/accept`, body);

export const refuseAgent = (id: string) => nothing("DELETE", `/mesh/pairing/pending/${encodeURIComponent(id)}`);

export const devices = () => json<Devices>("GET", "/devices");

export const offerPhone = (body: { listen: string; public_url: string }) => json<MadeOffer>("POST", "/devices/offer", body);

export const withdrawOffer = () => nothing("DELETE", "/devices/offer");

export const acceptDevice = (id: string, body: { name?: string; projects: string[] | null; answers: boolean }) =>
  send("POST", `/devices/pending/${encodeURIComponent(id)}/accept`, body);

export const refuseDevice = (id: string) => nothing("DELETE", `/devices/pending/${encodeURIComponent(id)}`);

export const revokeDevice = (id: string) => nothing("DELETE", `/devices/${encodeURIComponent(id)}`);

export const threads = () => json<Thread[]>("GET", "/notify/threads");

const thread = (id: string) => `/notify/threads/${encodeURIComponent(id)}`;

export const conversation = (id: string, signal?: AbortSignal) => json<Conversation>("GET", thread(id), undefined, signal);

/** Answers the question `to` by an action's id or in words; without `to`, adds words to the thread. */
export const reply = (id: string, body: { to?: string; action?: string; body?: string }) => json<Message>("POST", `${thread(id)}/reply`, body);

export const setDone = (id: string, done: boolean) => json<Thread>("POST", `${thread(id)}/done`, { done });

/** Tells that a person has the thread before the eyes. */
export const seen = (id: string) => nothing("POST", `${thread(id)}/seen`);

export const notifySettings = () => json<NotifySettings>("GET", "/notify/settings");

export const setQuiet = (quiet: QuietHours | null) => json<NotifySettings>("PUT", "/notify/settings/quiet", { quiet });

export const setMuted = (project: string, muted: boolean) => json<NotifySettings>("PUT", `/notify/settings/projects/${encodeURIComponent(project)}`, { muted });

/** Shows a notification to look at. */
export const testNotification = () => nothing("POST", "/shell/test-notification");

/** An attached file. */
export async function mediaOf(message: string, name: string): Promise<Blob> {
  return (await send("GET", `/notify/messages/${encodeURIComponent(message)}/media/${encodeURIComponent(name)}`)).blob();
}

/** The bytes of an artifact, whole. */
export async function bytesOf(name: string, hash: string, filename: string, signal?: AbortSignal): Promise<Blob> {
  const path = `${repository(name)}/artifacts/${hash}/raw?filename=${encodeURIComponent(filename)}`;
  return (await send("GET", path, undefined, signal)).blob();
}
