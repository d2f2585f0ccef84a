// Questions and threads in words and in order. Pure: the present is handed in.
import { until } from "../lib/format";
import type { Message, Priority, QuestionState, Thread } from "../lib/types";

const ranks: Record<Priority, number> = { urgent: 0, action_required: 1, info: 2 };

export const priorityNames: Record<Priority, string> = { urgent: "Urgent", action_required: "Needs an answer", info: "For information" };

/** Whether a person can still answer. */
export const isOpen = (message: Message | null): boolean => message?.question?.kind === "open";

/** The threads that wait for a person: the most important first, of these the oldest. */
export function waitingThreads(threads: Thread[]): Thread[] {
  const rank = (thread: Thread) => ranks[thread.waiting?.priority ?? thread.priority];
  const asked = (thread: Thread) => thread.waiting?.time ?? thread.time;
  return threads.filter((thread) => !thread.done && isOpen(thread.waiting)).sort((a, b) => rank(a) - rank(b) || asked(a).localeCompare(asked(b)));
}

/** All threads in the order of a list: those that wait, then the others, the last active first. */
export function inOrder(threads: Thread[], done: boolean): Thread[] {
  const waiting = done ? [] : waitingThreads(threads);
  const others = threads.filter((thread) => thread.done === done && !waiting.includes(thread));
  return [...waiting, ...others.sort((a, b) => b.time.localeCompare(a.time))];
}

/** The first line of a text. */
export const beginning = (body: string): string => body.trim().split(/\r?\n/, 1)[0] ?? "";

/** What was said last in a thread, where that is not its beginning; a message without words ends a question without an answer. */
export const lastWords = (thread: Thread): string => (thread.messages > 1 ? beginning(thread.last_body) || "No answer" : "");

/** The label of the action with this id, else the text itself. */
export const labelOf = (message: Message, answer: string): string => message.actions.find((action) => action.id === answer)?.label ?? answer;

/** What silence will mean: `Expires in 8 min · then: Reject`; empty where the question waits for ever. */
export function expiryWords(message: Message, now: number): string {
  if (!message.expires_at) return "";
  const then = message.default === null ? "then: no answer" : `then: ${labelOf(message, message.default)}`;
  const rest = until(message.expires_at, now);
  return rest === "now" ? `Time is over · ${then}` : `Expires ${rest} · ${then}`;
}

export interface FateWords {
  look: "ok" | "working" | "needs" | "quiet";
  words: string;
}

/** Where an answer came from: this device, or another by its name where that says more than who answered. */
export function whereWords(state: Extract<QuestionState, { kind: "resolved" }>, here: string | null, nameOf: (id: string) => string | undefined): string {
  if (state.by === null) return "";
  if (state.by === here) return "on this device";
  const device = nameOf(state.by) ?? state.by.slice(0, 8);
  return device === state.by_name ? "" : `on ${device}`;
}

/** What has become of a question that nobody can answer any more; `where` is where the answer came from. */
export function fateWords(message: Message, state: Exclude<QuestionState, { kind: "open" }>, where = ""): FateWords {
  switch (state.kind) {
    case "sent":
      return { look: "working", words: `Sent: ${labelOf(message, state.answer)} · waiting for the one who asked` };
    case "overdue":
      return { look: "needs", words: "Time is over · the one who asked has not said anything yet" };
    case "resolved": {
      const answer = state.label ?? (state.answer === null ? "" : labelOf(message, state.answer));
      if (state.source === "answer") return { look: "ok", words: `${answer} · answered${state.by_name ? ` by ${state.by_name}` : ""}${where && ` ${where}`}` };
      if (state.source === "default") return { look: "quiet", words: `Expired without an answer: ${answer} by default` };
      return { look: "quiet", words: state.source === "expired" ? "Expired without an answer" : "Taken back by the one who asked" };
    }
  }
}

/** What a person has to know of a message's sender; empty for those who are trusted. */
export const senderWarning: Record<Message["sender"], string> = {
  own: "",
  trusted: "",
  stranger: "not trusted here",
  unsigned: "not signed",
  forged: "signature is wrong",
};

/** The action that a digit key chooses, or `null`. */
export function actionOfKey(message: Message | null, key: string): string | null {
  if (!message || !isOpen(message) || !/^[1-9]$/.test(key)) return null;
  return message.actions[Number(key) - 1]?.id ?? null;
}
