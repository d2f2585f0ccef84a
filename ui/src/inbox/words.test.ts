import { expect, test } from "vitest";
import type { Message, Thread } from "../lib/types";
import { actionOfKey, beginning, expiryWords, fateWords, lastWords, inOrder, waitingThreads, whereWords } from "./words";

const now = Date.parse("2026-11-22T12:00:00Z");

const message = (more: Partial<Message> = {}): Message => ({
  id: "msg-1", thread: "thread-1", project: "demo", from: "ab", from_name: "ci", sender: "trusted", time: "2026-11-22T11:50:00Z", body: "Deploy?",
  priority: "action_required", kind: "question", actions: [{ id: "yes", label: "Approve" }, { id: "no", label: "Reject" }], takes_text: false,
  reply_to: null, action: null, media: [], expires_at: null, default: null, click: null, tags: [], late: false, question: { kind: "open" },
  delivered_to: [], ...more,
});

const thread = (id: string, more: Partial<Thread> = {}): Thread => ({
  id, short: id, project: "demo", title: "", messages: 1, priority: "info", time: "2026-11-22T11:00:00Z", last_from: "ci", last_body: "", waiting: null, done: false, ...more,
});

const resolved = { kind: "resolved", answer: "yes", label: "Approve", message: "msg-2", by: "cd", by_name: "phone", time: "2026-11-22T11:59:00Z" } as const;

test("waiting threads come first: by priority, then the oldest; the rest by the last word", () => {
  const threads = [
    thread("old", { time: "2026-11-22T09:00:00Z" }),
    thread("new", { time: "2026-11-22T11:30:00Z" }),
    thread("late", { waiting: message({ time: "2026-11-22T11:55:00Z" }) }),
    thread("early", { waiting: message({ time: "2026-11-22T10:00:00Z" }) }),
    thread("urgent", { waiting: message({ priority: "urgent", time: "2026-11-22T11:59:00Z" }) }),
    thread("sent", { time: "2026-11-22T11:40:00Z", waiting: message({ question: { kind: "sent", answer: "yes" } }) }),
    thread("done", { done: true, waiting: message() }),
  ];
  expect(inOrder(threads, false).map((each) => each.id)).toEqual(["urgent", "early", "late", "sent", "new", "old"]);
  expect(inOrder(threads, true).map((each) => each.id)).toEqual(["done"]);
  expect(waitingThreads(threads)).toHaveLength(3);
});

test("expiry says when and what then", () => {
  const expires_at = "2026-11-22T12:08:00Z";
  expect(expiryWords(message({ expires_at, default: "no" }), now)).toBe("Expires in 8 min · then: Reject");
  expect(expiryWords(message({ expires_at }), now)).toBe("Expires in 8 min · then: no answer");
  expect(expiryWords(message({ expires_at: "2026-11-22T11:59:00Z", default: "no" }), now)).toBe("Time is over · then: Reject");
  expect(expiryWords(message(), now)).toBe("");
});

test("a decided question says who decided, or that nobody did", () => {
  const words = (state: Parameters<typeof fateWords>[1]) => fateWords(message(), state).words;
  expect(words({ ...resolved, source: "answer" })).toBe("Approve · answered by phone");
  expect(words({ ...resolved, source: "answer", label: null, answer: "tomorrow" })).toBe("tomorrow · answered by phone");
  expect(words({ ...resolved, source: "default", answer: "no", label: null })).toBe("Expired without an answer: Reject by default");
  expect(words({ ...resolved, source: "expired", answer: null, label: null })).toBe("Expired without an answer");
  expect(words({ ...resolved, source: "cancelled" })).toContain("Taken back");
  expect(words({ kind: "sent", answer: "yes" })).toBe("Sent: Approve · waiting for the one who asked");
});

test("digits choose among what is offered, and only while it waits", () => {
  expect(actionOfKey(message(), "2")).toBe("no");
  for (const [asked, key] of [[message(), "3"], [message(), "0"], [message(), "a"], [null, "1"], [message({ question: { kind: "overdue" } }), "1"]] as const) {
    expect(actionOfKey(asked, key)).toBe(null);
  }
});

test("where an answer came from is told where it says more than who", () => {
  const by = (id: string | null, by_name: string | null) => ({ kind: "resolved", source: "answer", answer: "yes", label: "Yes", message: null, by: id, by_name, time: "" }) as const;
  const nameOf = (id: string) => (id === "b".repeat(64) ? "studio-mac" : undefined);
  expect(whereWords(by("a".repeat(64), "laptop"), "a".repeat(64), nameOf)).toBe("on this device");
  expect(whereWords(by("b".repeat(64), "Ada"), "a".repeat(64), nameOf)).toBe("on studio-mac");
  expect(whereWords(by("b".repeat(64), "studio-mac"), "a".repeat(64), nameOf)).toBe("");
  expect(whereWords(by("c".repeat(64), "Ada"), null, nameOf)).toBe("on cccccccc");
  expect(whereWords(by(null, null), null, nameOf)).toBe("");
});

test("a list says what a thread is about, and then what was said last", () => {
  expect(beginning("  The disk is full.\r\n\nDelete old logs?")).toBe("The disk is full.");
  expect(beginning(" ")).toBe("");
  expect(lastWords(thread("a", { title: "Deploy?", last_body: "Deploy?" }))).toBe("");
  expect(lastWords(thread("a", { messages: 3, last_body: "Approve\nor not" }))).toBe("Approve");
  expect(lastWords(thread("a", { messages: 2, last_body: "" }))).toBe("No answer");
});
