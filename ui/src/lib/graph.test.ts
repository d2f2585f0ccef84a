import { expect, test } from "vitest";
import { graphOf, laneColour, strokePath } from "./graph";

test("a branch keeps its colour and the trunk's is its own", () => {
  expect(laneColour("trunk")).toBe(0);
  expect(laneColour("feature")).toBe(laneColour("feature"));
  for (const branch of ["a", "feature", "release-2", "\u00fcber"]) {
    expect(laneColour(branch)).toBeGreaterThan(0);
    expect(laneColour(branch)).toBeLessThan(8);
  }
});

test("the graph of many lanes stays narrow", () => {
  expect(graphOf(1).width).toBe(24);
  expect(graphOf(4).x(3)).toBe(54);
  expect(graphOf(30).width).toBeLessThan(140);
});

test("a stroke is straight in its lane and a curve between lanes", () => {
  const graph = graphOf(2);
  expect(strokePath({ from: 1, to: 1, branch: "b", kind: "parent" }, graph, 32)).toBe("M26 0V32");
  expect(strokePath({ from: 0, to: 1, branch: "b", kind: "merge" }, graph, 30)).toBe("M12 0C12 18 26 12 26 30");
});
