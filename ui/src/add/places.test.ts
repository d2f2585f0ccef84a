import { expect, test } from "vitest";
import type { Repository } from "../lib/types";
import { homeOf, placeFor } from "./places";

const known = [{ path: "/srv/fossils/a.fossil" }] as Repository[];

test("a clone is put beside the repositories that are there, named like its address", () => {
  expect(placeFor("https://sync.example.org/edge sync/", known)).toBe("/srv/fossils/edge-sync.fossil");
  expect(placeFor("https://sync.example.org/project.fossil", known)).toBe("/srv/fossils/project.fossil");
  expect(placeFor("https://sync.example.org", known)).toBe("/srv/fossils/sync.example.org.fossil");
});

test("nothing is guessed from nothing", () => {
  expect(placeFor("not a url", known)).toBe("");
  expect(placeFor("https://sync.example.org/a", [])).toBe("");
  expect(homeOf([])).toBe("/home/you/");
});
