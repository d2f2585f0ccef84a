import { expect, test } from "vitest";
import { hunkPlace, mix, shownLines, sideBySide } from "./diff";
import type { DiffLine } from "./types";

const line = (kind: DiffLine["kind"], text: string): DiffLine => ({ kind, old: 1, new: 1, spans: [{ text, changed: false }], newline: true });

test("a hunk stands where its lines are now, or were", () => {
  expect(hunkPlace({ old_start: 1, old_lines: 3, new_start: 10, new_lines: 4, lines: [] })).toBe("Lines 10–13");
  expect(hunkPlace({ old_start: 7, old_lines: 1, new_start: 0, new_lines: 0, lines: [] })).toBe("Line 7 before");
});

test("marks cut tokens and no character is lost", () => {
  const pieces = mix(
    [{ text: "let ", kind: "keyword" }, { text: "count = 1;", kind: null }],
    [{ text: "let co", changed: false }, { text: "unt", changed: true }, { text: " = 1;", changed: false }],
  );
  expect(pieces).toEqual([
    { text: "let ", kind: "keyword", changed: false },
    { text: "co", kind: null, changed: false },
    { text: "unt", kind: null, changed: true },
    { text: " = 1;", kind: null, changed: false },
  ]);
});

test("an empty span does not stall the mixing", () => {
  expect(mix([{ text: "a", kind: null }], [{ text: "", changed: true }, { text: "a", changed: false }])).toEqual([
    { text: "a", kind: null, changed: false },
  ]);
});

test("a deleted comment opener does not colour the lines that stay", () => {
  const lines = [line("delete", "/* open"), line("add", "fn a() {}"), line("context", "fn b() {}")];
  const shown = shownLines({ old_start: 1, old_lines: 2, new_start: 1, new_lines: 2, lines }, "a.rs");
  expect(shown[0]?.pieces[0]?.kind).toBe("comment");
  expect(shown[1]?.pieces[0]).toMatchObject({ text: "fn", kind: "keyword" });
  expect(shown[2]?.pieces[0]).toMatchObject({ text: "fn", kind: "keyword" });
});

test("deletions stand beside the additions that replace them", () => {
  const hunk = { old_start: 1, old_lines: 3, new_start: 1, new_lines: 4 };
  const lines = [line("context", "same"), line("delete", "a"), line("add", "b"), line("add", "c"), line("context", "end"), line("delete", "z")];
  const text = sideBySide(shownLines({ ...hunk, lines }, "x")).map(({ left, right }) => [left?.pieces[0]?.text ?? null, right?.pieces[0]?.text ?? null]);
  expect(text).toEqual([["same", "same"], ["a", "b"], [null, "c"], ["end", "end"], ["z", null]]);
});

test("a carriage return is named where it is what differs, and never printed", () => {
  const hunk = { old_start: 1, old_lines: 1, new_start: 1, new_lines: 1 };
  const shown = shownLines({ ...hunk, lines: [line("context", "same\r"), line("delete", "one\r"), line("add", "one")] }, "x");
  expect(shown.map((each) => [each.carriage, each.pieces[0]?.text])).toEqual([[false, "same"], [true, "one"], [false, "one"]]);
  const dos = shownLines({ ...hunk, lines: [line("delete", "one\r"), line("add", "two\r")] }, "x");
  expect(dos.map((each) => each.carriage)).toEqual([false, false]);
});
