import { expect, test } from "vitest";
import type { LogLevel, LogLine } from "../lib/types";
import { asText, countWords, lineText, max_lines, shownLines, withPage, type Numbered } from "./words";

const line = (message: string, level: LogLevel = "info"): LogLine => ({ at: "2026-11-22T10:00:00.000Z", level, target: "edgesync_agent::sync", message });
const numbers = (lines: Numbered[]) => lines.map((each) => each.number);

test("pages follow each other, and a new run of the agent begins anew", () => {
  const first = withPage([], { file: null, first: 1, lines: [line("a"), line("b")] });
  const second = withPage(first, { file: null, first: 3, lines: [line("c")] });
  expect(numbers(second)).toEqual([1, 2, 3]);
  expect(withPage(second, { file: null, first: 4, lines: [] })).toHaveLength(3);
  const anew = withPage(second, { file: null, first: 1, lines: [line("d")] });
  expect(anew.map((each) => each.message)).toEqual(["d"]);
  const many = withPage([], { file: null, first: 1, lines: Array.from({ length: max_lines + 5 }, () => line("x")) });
  expect([many.length, many[0]?.number]).toEqual([max_lines, 6]);
});

test("the newest comes first; level and words choose", () => {
  const lines = withPage([], { file: null, first: 1, lines: [line("Synced demo"), line("Lost demo", "warn"), line("Broken", "error"), line("x", "debug")] });
  expect(numbers(shownLines(lines, "all", ""))).toEqual([4, 3, 2, 1]);
  expect(numbers(shownLines(lines, "warn", ""))).toEqual([3, 2]);
  expect(numbers(shownLines(lines, "error", ""))).toEqual([3]);
  expect(numbers(shownLines(lines, "all", "demo sync"))).toEqual([2, 1]);
  expect(countWords(2, 4)).toBe("2 of 4 lines");
  expect(countWords(1, 1)).toBe("1 line");
});

test("a copied line has everything", () => {
  const lines = withPage([], { file: null, first: 1, lines: [{ ...line("joined"), fields: { repository: "demo" } }, line("b", "warn")] });
  expect(lineText(lines[0]!)).toBe("joined repository=demo");
  expect(asText(shownLines(lines, "all", ""))).toBe(
    "2026-11-22T10:00:00.000Z INFO edgesync_agent::sync: joined repository=demo\n2026-11-22T10:00:00.000Z WARN edgesync_agent::sync: b",
  );
});
