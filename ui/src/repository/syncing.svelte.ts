// "Sync now" as a person presses it: busy until the agent has taken it, and the problem if it did not.
import { agent } from "../lib/agent.svelte";
import * as api from "../lib/api";
import type { Problem, Repository } from "../lib/types";

export class Syncing {
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);
  readonly #name: () => string;

  constructor(name: () => string) {
    this.#name = name;
  }

  start(): Promise<void> {
    return this.#ask(api.sync);
  }

  /** Ends the pause of this repository alone. */
  resume(): Promise<void> {
    return this.#ask(api.resumeOne);
  }

  async #ask(act: (name: string) => Promise<Repository>): Promise<void> {
    this.busy = true;
    this.problem = null;
    try {
      await agent.takeRepository(act(this.#name()));
    } catch (thrown) {
      this.problem = api.problemOf(thrown);
    } finally {
      this.busy = false;
    }
  }
}
