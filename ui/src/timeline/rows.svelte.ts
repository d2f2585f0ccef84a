// The rows of a timeline, fetched in pages as they come into view, and kept true when the repository changes.
import * as api from "../lib/api";
import { problemOf } from "../lib/http";
import { Layout, loadedPage, type LoadedPage, type Measures } from "../lib/layout";
import type { Problem, TimelineRow } from "../lib/types";

const page_size = 200;
const patience_ms = 150;
const max_fetching = 2;
const again_ms = 1000;

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
  /** The pages in sight. */
  #wanted: number[] = [];
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

  /** Sees to it that the rows from `first` to `last` come. What was asked for before and passed by is not fetched any more. */
  ensure(first: number, last: number): void {
    this.#wanted = [];
    for (let page = Math.floor(first / page_size); page <= Math.floor(last / page_size); page += 1) this.#wanted.push(page);
    this.#fetchWanted();
  }

  #fetchWanted(): void {
    if (this.#fetching.size >= max_fetching) return;
    const page = this.#wanted.find((each) => !this.#pages.has(each) && !this.#fetching.has(each));
    if (page === undefined || this.#abort.signal.aborted) return;
    void this.#fetch(page).then((came) => (came ? this.#fetchWanted() : setTimeout(() => this.#fetchWanted(), again_ms)));
    this.#fetchWanted();
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

  /** Fetches the pages around `first` to `last` anew and drops the others; `onadded` hears first how many rows come on top. */
  async renew(first: number, last: number, onadded: (rows: number) => void): Promise<void> {
    let total = this.total ?? 0;
    let lanes = this.lanes;
    const wanted = new Set([0]);
    for (let page = Math.floor(first / page_size); page <= Math.floor(last / page_size) + 1; page += 1) wanted.add(page);
    const pages = new Map<number, LoadedPage>();
    try {
      for (const page of wanted) {
        const answer = await this.#get(page);
        if (answer.rows.length > 0) pages.set(page, loadedPage(answer.rows));
        total = answer.total;
        lanes = Math.max(1, answer.lanes);
      }
      if (this.total !== null && total > this.total) onadded(total - this.total);
      this.total = total;
      this.lanes = lanes;
      this.#pages = pages;
      this.problem = null;
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  stop(): void {
    this.#abort.abort();
  }

  #get(page: number) {
    return api.timeline(this.#name, { offset: page * page_size, limit: page_size, type: this.#type }, this.#abort.signal);
  }

  /** Returns whether the page is here now. */
  async #fetch(page: number): Promise<boolean> {
    if (this.#fetching.has(page)) return false;
    this.#fetching.add(page);
    try {
      const answer = await this.#get(page);
      this.total = answer.total;
      this.lanes = Math.max(this.lanes, answer.lanes);
      this.#pages = new Map(this.#pages).set(page, loadedPage(answer.rows));
      this.problem = null;
      return true;
    } catch (thrown) {
      this.#failed(thrown);
      return false;
    } finally {
      this.#fetching.delete(page);
    }
  }

  #failed(thrown: unknown): void {
    if (!this.#abort.signal.aborted) this.problem = problemOf(thrown);
  }
}
