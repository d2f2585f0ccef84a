import { expect, test } from "vitest";
import { commandsFor, matchingCommands } from "./commands";
import type { Repository } from "./types";

const repository = (name: string, remote: boolean): Repository => ({
  name,
  path: `/${name}.fossil`,
  project_code: "0",
  project_name: name,
  size: 0,
  check_ins: 0,
  artifacts: 0,
  last_check_in: null,
  remote: remote ? { url: "https://example.org", user: null } : null,
  clone_url: null,
  notify: false,
  state: { kind: "local" },
});

const names = (text: string, current: string | null = null) =>
  matchingCommands(commandsFor([repository("alpha", false), repository("beta", true)], current), text, current).map((command) => command.id);

test("the repository in sight comes first", () => {
  expect(names("", "beta")[0]).toBe("Timeline beta");
  expect(names("")[0]).toBe("overview");
});

test("only what can be done is offered", () => {
  expect(names("sync")).toEqual(["Sync now beta", "sync"]);
  expect(names("copy")).toEqual([]);
  expect(names("quit")).toEqual([]);
  expect(names("pair")).toEqual([]);
  expect(commandsFor([], null, { devices: true }).map((command) => command.id)).toContain("pair");
  expect(commandsFor([], null, { mesh: true }).map((command) => command.id)).toContain("pair-computer");
  expect(commandsFor([], null, { app: true }).at(-1)?.id).toBe("quit");
});

test("words may name the repository and the act in any order", () => {
  expect(names("files alp")).toEqual(["Files alpha"]);
});

test("a hash jumps to its check-in when a repository is in sight", () => {
  expect(names("abcd12", "alpha")).toEqual(["check-in"]);
  expect(names("abcd12")).toEqual([]);
});
