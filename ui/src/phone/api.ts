// The phone's talk with the agent. It has routes of its own, for messages of the projects that it was given and nothing else.
import { request, type Host } from "../lib/http";
import { lines } from "../lib/ndjson";
import type { Conversation, Message, Thread } from "../lib/types";

export interface Session {
  name: string;
  host: string;
  projects: string[] | null;
  answers: boolean;
}

export type PhoneEvent =
  | { event: "session"; session: Session }
  | { event: "message"; message: Message; show: boolean }
  | { event: "question"; message: Message }
  | { event: "missed" }
  | { event: "gone" }
  | { event: "beat" };

export type Pairing = { state: "waiting" } | { state: "accepted" } | { state: "ended"; why: string };

const key = "edgesync-device";

/** The session of this phone, or `null` while it has none. */
export const bearer = (): string | null => localStorage.getItem(key);
export const keepBearer = (session: string): void => localStorage.setItem(key, session);
export const dropBearer = (): void => localStorage.removeItem(key);

const computer: Host = { name: "The computer", offline: "Is the phone in the same network, and the computer awake?" };

function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  return request(computer, { method, url: `/phone/v1${path}`, bearer: bearer(), body, signal });
}

const json = async <T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> => (await (await send(method, path, body, signal)).json()) as T;

export const host = () => json<{ endpoint_id: string; name: string }>("GET", "/host");
export const claim = (id: string, said: object) => json<{ nonce: string; proof: string; name: string }>("POST", "/pair/claim", { id, claim: said });
export const reveal = (id: string, said: object) => send("POST", "/pair/reveal", { id, reveal: said });
export const wait = (id: string) => json<Pairing>("POST", "/pair/wait", { id });
export const refuse = (id: string, differ: boolean) => send("POST", "/pair/refuse", { id, differ });
export const newSession = (id: string) => json<{ session: string }>("POST", "/pair/session", { id });

export const session = () => json<Session>("GET", "/session");
export const threads = () => json<Thread[]>("GET", "/threads");
export const conversation = (thread: string) => json<Conversation>("GET", `/threads/${encodeURIComponent(thread)}`);
export const answer = (question: string, what: { action: string } | { body: string }) => json<Message>("POST", `/messages/${encodeURIComponent(question)}/answer`, what);
export const media = async (message: string, name: string) => (await send("GET", `/messages/${encodeURIComponent(message)}/media/${encodeURIComponent(name)}`)).blob();

/** One line of the stream after the other, until it ends or `signal` fires. */
export async function* events(signal: AbortSignal): AsyncGenerator<PhoneEvent> {
  const response = await send("GET", "/events", undefined, signal);
  if (!response.body) return;
  for await (const line of lines(response.body)) yield JSON.parse(line) as PhoneEvent;
}
