// Something fetched: its value, its problem, and whether to show that one waits.
import { problemOf } from "./http";
import type { Problem } from "./types";

/** Waiting is shown only after this long; most answers come sooner and nothing should flicker. */
const patience_ms = 150;

export class Resource<T> {
  value = $state.raw<T | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** True once an answer is overdue. */
  slow = $state(false);
  #attempt: AbortController | null = null;

  /** Fetches anew; an answer to an earlier call is dropped. Keeps the old value until the new one is here, unless `fresh`. */
  async load(fetcher: (signal: AbortSignal) => Promise<T>, options: { fresh?: boolean } = {}): Promise<void> {
    this.#attempt?.abort();
    const attempt = new AbortController();
    this.#attempt = attempt;
    if (options.fresh) this.value = null;
    this.problem = null;
    this.slow = false;
    const overdue = setTimeout(() => {
      this.slow = true;
    }, patience_ms);
    try {
      const value = await fetcher(attempt.signal);
      if (!attempt.signal.aborted) this.value = value;
    } catch (thrown) {
      if (!attempt.signal.aborted) this.problem = problemOf(thrown);
    } finally {
      clearTimeout(overdue);
      if (!attempt.signal.aborted) this.slow = false;
    }
  }

  /** Forgets what is under way. */
  stop(): void {
    this.#attempt?.abort();
  }
}
