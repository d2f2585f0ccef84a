import { expect, test } from "vitest";
import { lineHash, parseLines } from "./lines";

test.each([
  ["#L12", { first: 12, last: 12 }],
  ["#L12-20", { first: 12, last: 20 }],
  ["#L20-12", { first: 12, last: 20 }],
  ["#L0", null],
  ["#token=L1", null],
  ["", null],
])("%s", (hash, lines) => expect(parseLines(hash)).toEqual(lines));

test("a fragment written is the one read", () => {
  expect(lineHash(5, 5)).toBe("#L5");
  expect(parseLines(lineHash(9, 3))).toEqual({ first: 3, last: 9 });
});
