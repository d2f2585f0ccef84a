import { expect, test } from "vitest";
import { Layout, loadedPage, type LoadedPage } from "./layout";
import type { TimelineRow } from "./types";

const measures = { pageSize: 4, row: 10, day: 5 };

function row(day: number): TimelineRow {
  const time = new Date(2026, 10, day, 12).toISOString();
  return { kind: "ci", hash: "0", time, user: "ada", comment: "", branch: "trunk", tags: [], closed: false, leaf: false, merge: false, lane: 0, lines: [] };
}

const page = (...days: number[]): LoadedPage => loadedPage(days.map(row));

test("the first row of each day has room for its heading", () => {
  const layout = new Layout(4, new Map([[0, page(22, 22, 21, 20)]]), measures);
  expect([0, 1, 2, 3].map((i) => layout.startsDay(i))).toEqual([true, false, true, true]);
  expect([0, 1, 2, 3].map((i) => layout.top(i))).toEqual([0, 15, 25, 40]);
  expect(layout.height).toBe(55);
});

test("a page that is not loaded counts as plain rows", () => {
  const layout = new Layout(10, new Map([[0, page(22, 22, 22, 22)]]), measures);
  expect(layout.height).toBe(105);
  expect(layout.row(5)).toBeUndefined();
  expect(layout.startsDay(4)).toBe(false);
});

test("a page's first row begins a day only against the page before", () => {
  const pages = new Map([[0, page(22, 22, 22, 22)], [1, page(21, 21, 21, 21)]]);
  expect(new Layout(8, pages, measures).startsDay(4)).toBe(true);
  pages.delete(0);
  expect(new Layout(8, pages, measures).startsDay(4)).toBe(false);
});

test("finding a row by its place is the inverse of its top", () => {
  const pages = new Map([[0, page(22, 21, 21, 20)], [2, page(18, 18, 17, 17)]]);
  const layout = new Layout(11, pages, measures);
  for (let i = 0; i < 11; i += 1) {
    expect(layout.indexAt(layout.top(i))).toBe(i);
    expect(layout.indexAt(layout.top(i) + layout.heightOf(i) - 1)).toBe(i);
  }
  expect(layout.indexAt(layout.height + 1000)).toBe(10);
  expect(new Layout(0, new Map(), measures).indexAt(5)).toBe(0);
});
