// "Sync now" as a person presses it: busy until the agent has taken it, and the problem if it did not.
import { agent } from "../lib/agent.svelte";
import * as api from "../lib/api";
import type { Problem } from "../lib/types";

export class Syncing {
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);
  readonly #name: () => string;

  constructor(name: () => string) {
    this.#name = name;
  }

  async start(): Promise<void> {
    this.busy = true;
    this.problem = null;
    try {
      agent.noteRepository(await api.sync(this.#name()));
    } catch (thrown) {
      this.problem = api.problemOf(thrown);
    } finally {
      this.busy = false;
    }
  }
}
