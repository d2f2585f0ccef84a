import { expect, test } from "vitest";
import { rightsWords, typedProjects } from "./words";

test("rights are said in full", () => {
  expect(rightsWords({ projects: null, answers: true })).toBe("Reads and answers all projects");
  expect(rightsWords({ projects: ["demo", "web"], answers: false })).toBe("Reads demo, web");
});

test("projects are typed as people list things", () => {
  expect(typedProjects(" demo, web  ops ")).toEqual(["demo", "web", "ops"]);
  expect(typedProjects(" ")).toEqual([]);
});
