// Something that a person asked the agent to do: whether it is under way, and the problem if it failed.
import { problemOf } from "./http";
import type { Problem } from "./types";

export class Attempt {
  busy = $state(false);
  problem = $state.raw<Problem | null>(null);
  /** What did not happen, as a notice's title says it. */
  what = $state.raw("");

  constructor(what = "") {
    this.what = what;
  }

  /** Does it, and returns whether it worked. `what` where one attempt stands for several things. */
  async run(act: () => Promise<unknown>, what = this.what): Promise<boolean> {
    this.busy = true;
    this.problem = null;
    this.what = what;
    try {
      await act();
      return true;
    } catch (thrown) {
      this.problem = problemOf(thrown);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
