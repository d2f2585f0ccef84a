// The rows of a timeline, fetched in pages as they come into view, and kept true when the repository changes.
import * as api from "../lib/api";
import { Layout, loadedPage, type LoadedPage, type Measures } from "../lib/layout";
import type { Problem, TimelineRow } from "../lib/types";

const page_size = 200;
const patience_ms = 150;

export class Rows {
  /** `null` until the first page is here. */
  total = $state<number | null>(null);
  lanes = $state(1);
  problem = $state.raw<Problem | null>(null);
  /** True once the first answer is overdue. */
  slow = $state(false);
  /** How many rows are here, for a search over all of them. */
  loaded = $derived.by(() => [...this.#pages.values()].reduce((sum, page) => sum + page.rows.length, 0));
  #pages = $state.raw<ReadonlyMap<number, LoadedPage>>(new Map());
  readonly #fetching = new Set<number>();
  readonly #abort = new AbortController();
  readonly #name: string;
  readonly #type: string;

  constructor(name: string, type: string) {
    this.#name = name;
    this.#type = type;
  }

  layout(measures: Omit<Measures, "pageSize">): Layout {
    return new Layout(this.total ?? 0, this.#pages, { pageSize: page_size, ...measures });
  }

  /** Fetches the first page. */
  async open(): Promise<void> {
    const overdue = setTimeout(() => (this.slow = true), patience_ms);
    await this.#fetch(0);
    clearTimeout(overdue);
    this.slow = false;
  }

  /** Sees to it that the rows from `first` to `last` come. */
  ensure(first: number, last: number): void {
    for (let page = Math.floor(first / page_size); page <= Math.floor(last / page_size); page += 1) {
      if (!this.#pages.has(page)) void this.#fetch(page);
    }
  }

  /** Fetches all that is missing, page after page, while `wanted` holds. */
  async everything(wanted: () => boolean): Promise<void> {
    for (let page = 0; page * page_size < (this.total ?? 0); page += 1) {
      if (!wanted() || this.problem) return;
      if (!this.#pages.has(page)) await this.#fetch(page);
    }
  }

  /** All loaded rows, newest first. */
  all(): TimelineRow[] {
    return [...this.#pages.entries()].sort(([a], [b]) => a - b).flatMap(([, page]) => page.rows);
  }

  /** Fetches the pages around `first` to `last` anew and drops the others. Returns how many rows came on top. */
  async renew(first: number, last: number): Promise<number> {
    const before = this.total ?? 0;
    const wanted = new Set([0]);
    for (let page = Math.floor(first / page_size); page <= Math.floor(last / page_size) + 1; page += 1) wanted.add(page);
    const pages = new Map<number, LoadedPage>();
    try {
      for (const page of wanted) {
        const answer = await this.#get(page);
        if (answer.rows.length > 0) pages.set(page, loadedPage(answer.rows));
        this.total = answer.total;
        this.lanes = Math.max(1, answer.lanes);
      }
      this.#pages = pages;
      this.problem = null;
    } catch (thrown) {
      this.#failed(thrown);
    }
    return (this.total ?? 0) - before;
  }

  stop(): void {
    this.#abort.abort();
  }

  #get(page: number) {
    return api.timeline(this.#name, { offset: page * page_size, limit: page_size, type: this.#type }, this.#abort.signal);
  }

  async #fetch(page: number): Promise<void> {
    if (this.#fetching.has(page)) return;
    this.#fetching.add(page);
    try {
      const answer = await this.#get(page);
      this.total = answer.total;
      this.lanes = Math.max(this.lanes, answer.lanes);
      this.#pages = new Map(this.#pages).set(page, loadedPage(answer.rows));
      this.problem = null;
    } catch (thrown) {
      this.#failed(thrown);
    } finally {
      this.#fetching.delete(page);
    }
  }

  #failed(thrown: unknown): void {
    if (!this.#abort.signal.aborted) this.problem = api.problemOf(thrown);
  }
}
