import { expect, test } from "vitest";
import { fixOf, ownOf, progress, stateWords, withRepository } from "./state";
import type { Repository } from "./types";

const now = Date.parse("2026-11-22T12:00:00Z");
const at = "2026-11-22T11:59:48Z";
const remote = { url: "https://sync.example.org/edgesync", user: "ada" };

test("up to date always says how old that knowledge is", () => {
  expect(stateWords({ kind: "up_to_date", at }, now)).toEqual({ look: "ok", words: "Up to date", detail: "12 s ago", at });
});

test("work in progress has numbers as soon as there are any", () => {
  expect(stateWords({ kind: "syncing", phase: "sync", done: 340, total: 1200 }, now).words).toBe("Syncing 340 of 1,200");
  expect(stateWords({ kind: "syncing", phase: "pull", done: 12, total: null }, now).words).toBe("Receiving 12");
  expect(progress(0, null)).toBe("");
});

test("a failure names the other side and when it is tried again", () => {
  const state = { kind: "error", code: "remote", message: "refused", hint: null, since: at, last_ok: null } as const;
  const retrying = stateWords({ ...state, retry_at: "2026-11-22T12:00:30Z" }, now, remote);
  expect(`${retrying.words} · ${retrying.detail}`).toBe("Can't sync with sync.example.org · retrying in 30 s");
  expect(stateWords({ ...state, retry_at: null }, now).detail).toBe("for 12 s");
});

test("a repository without a remote is not called up to date", () => {
  expect(stateWords({ kind: "local" }, now).words).toBe("Local only");
  expect(stateWords({ kind: "never" }, now).words).toBe("Not synced yet");
});

test("changes that nobody takes are said to stay, with the age of the last exchange", () => {
  const kept = stateWords({ kind: "kept", at, message: "studio does not take them", hint: "Ask there." }, now);
  expect(kept).toEqual({ look: "needs", words: "Changes stay here", detail: "last synced 12 s ago", at });
  expect(stateWords({ kind: "kept", at: null, message: "", hint: "" }, now).detail).toBe("");
});

test("a pause says until when, with the day where it is another one", () => {
  const soon = new Date(now + 60_000).toISOString();
  expect(stateWords({ kind: "paused", until: null, at }, now)).toEqual({ look: "quiet", words: "Paused", detail: "last synced 12 s ago", at });
  expect(stateWords({ kind: "paused", until: soon, at: null }, now).words).toMatch(/^Paused until \d\d:\d\d$/);
  expect(stateWords({ kind: "paused", until: "2026-12-24T12:00:00Z", at: null }, now).words).toMatch(/^Paused until 24 Dec, \d\d:\d\d$/);
});

test("the likely fix follows from the code", () => {
  expect([fixOf("remote_login"), fixOf("remote_address"), fixOf("remote"), fixOf("unreachable")]).toEqual(["login", "address", "retry", "retry"]);
});

test("a repository that comes or changes keeps the order that a reload would show", () => {
  const named = (name: string, size = 0) => ({ name, size }) as Repository;
  const list = [named("docs"), named("src")];
  const names = (changed: Repository) => withRepository(list, changed).map((each) => each.name);
  expect(names(named("apple"))).toEqual(["apple", "docs", "src"]);
  expect(names(named("notes"))).toEqual(["docs", "notes", "src"]);
  expect(names(named("web"))).toEqual(["docs", "src", "web"]);
  expect(withRepository(list, named("docs", 7)).map((each) => each.size)).toEqual([7, 0]);
});

test("the repository of questions is left out of lists unless it is in trouble", () => {
  const named = (name: string, notify: boolean, kind: "local" | "missing") => ({ name, notify, state: { kind } }) as Repository;
  const names = (list: Repository[]) => ownOf(list).map((each) => each.name);
  expect(names([named("docs", false, "local"), named("notify", true, "local")])).toEqual(["docs"]);
  expect(names([named("notify", true, "missing")])).toEqual(["notify"]);
});
