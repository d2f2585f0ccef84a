// "Sync now" as a person presses it: busy until the agent has taken it, and the problem if it did not.
import { agent } from "../lib/agent.svelte";
import * as api from "../lib/api";
import { Attempt } from "../lib/attempt.svelte";
import type { Repository } from "../lib/types";

export class Syncing extends Attempt {
  readonly #name: () => string;

  constructor(name: () => string) {
    super("Sync did not start");
    this.#name = name;
  }

  start(): Promise<boolean> {
    return this.#ask(api.sync);
  }

  /** Ends the pause of this repository alone. */
  resume(): Promise<boolean> {
    return this.#ask(api.resumeOne);
  }

  #ask(act: (name: string) => Promise<Repository>): Promise<boolean> {
    return this.run(() => agent.takeRepository(act(this.#name())));
  }
}
