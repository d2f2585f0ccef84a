// Where each row of a long, partly loaded timeline stands: rows of one height, with a heading above the first of each day.
// Pages that are not loaded count as rows without headings; once loaded, what is below them moves by the headings' height.
import { dayKey } from "./format";
import type { TimelineRow } from "./types";

export interface LoadedPage {
  rows: TimelineRow[];
  /** The local day of each row. */
  days: number[];
  /** How many rows after the first begin a day. */
  breaks: number;
}

/** Prepares a fetched page for the layout. */
export function loadedPage(rows: TimelineRow[]): LoadedPage {
  const days = rows.map((row) => dayKey(row.time));
  const breaks = days.filter((day, i) => i > 0 && day !== days[i - 1]).length;
  return { rows, days, breaks };
}

export interface Measures {
  pageSize: number;
  row: number;
  day: number;
}

export class Layout {
  readonly total: number;
  readonly height: number;
  readonly #pages: ReadonlyMap<number, LoadedPage>;
  readonly #measures: Measures;
  /** The top of each page. */
  readonly #tops: number[] = [];

  constructor(total: number, pages: ReadonlyMap<number, LoadedPage>, measures: Measures) {
    this.total = total;
    this.#pages = pages;
    this.#measures = measures;
    const { pageSize, row, day } = measures;
    let top = 0;
    for (let page = 0; page * pageSize < total; page += 1) {
      this.#tops.push(top);
      const rows = Math.min(pageSize, total - page * pageSize);
      const breaks = (pages.get(page)?.breaks ?? 0) + (this.startsDay(page * pageSize) ? 1 : 0);
      top += rows * row + breaks * day;
    }
    this.height = top;
  }

  /** The row at `index`, if it is loaded. */
  row(index: number): TimelineRow | undefined {
    return this.#pages.get(Math.floor(index / this.#measures.pageSize))?.rows[index % this.#measures.pageSize];
  }

  /** Whether a day's heading stands above the row; false where that is not known yet. */
  startsDay(index: number): boolean {
    const day = this.#day(index);
    if (day === undefined) return false;
    if (index === 0) return true;
    const before = this.#day(index - 1);
    return before !== undefined && before !== day;
  }

  /** The height of a row with the heading above it. */
  heightOf(index: number): number {
    return this.#measures.row + (this.startsDay(index) ? this.#measures.day : 0);
  }

  /** The top of a row, its day's heading included. */
  top(index: number): number {
    const page = Math.floor(index / this.#measures.pageSize);
    let top = this.#tops[page] ?? this.height;
    for (let i = page * this.#measures.pageSize; i < index; i += 1) top += this.heightOf(i);
    return top;
  }

  /** The row that covers `y`, within the list. */
  indexAt(y: number): number {
    let low = 0;
    let high = this.#tops.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#tops[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    let index = low * this.#measures.pageSize;
    let bottom = (this.#tops[low] ?? 0) + this.heightOf(index);
    while (bottom <= y && index < this.total - 1) {
      index += 1;
      bottom += this.heightOf(index);
    }
    return index;
  }

  #day(index: number): number | undefined {
    return this.#pages.get(Math.floor(index / this.#measures.pageSize))?.days[index % this.#measures.pageSize];
  }
}
