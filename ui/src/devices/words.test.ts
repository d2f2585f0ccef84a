import { expect, test } from "vitest";
import type { PendingDevice } from "../lib/types";
import { countdown, rightsWords, toCompare, typedProjects } from "./words";

test("rights are said in full", () => {
  expect(rightsWords({ projects: null, answers: true })).toBe("Reads and answers all projects");
  expect(rightsWords({ projects: ["demo", "web"], answers: false })).toBe("Reads demo, web");
});

test("the countdown stops at nothing", () => {
  const now = Date.parse("2026-11-22T10:00:00Z");
  expect(countdown("2026-11-22T10:10:00Z", now)).toBe("10:00");
  expect(countdown("2026-11-22T10:00:05Z", now)).toBe("0:05");
  expect(countdown("2026-11-22T09:00:00Z", now)).toBe("0:00");
});

test("the phone that shows digits comes first, one that is refused never", () => {
  const phone = (state: PendingDevice["state"]): PendingDevice => ({ id: state, name: null, digits: null, state, why: null, since: "", until: "" });
  expect(toCompare([phone("ended"), phone("meeting"), phone("comparing")])?.state).toBe("comparing");
  expect(toCompare([phone("ended")])).toBe(undefined);
});

test("projects are typed as people list things", () => {
  expect(typedProjects(" demo, web  ops ")).toEqual(["demo", "web", "ops"]);
  expect(typedProjects(" ")).toEqual([]);
});
