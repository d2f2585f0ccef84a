// What a person changes about the mesh: it is done, and then the mesh is read anew.
import { agent } from "../lib/agent.svelte";
import * as api from "../lib/api";
import type { Attempt } from "../lib/attempt.svelte";

/** Does it, and returns whether it worked. `what` as for [Attempt.run]. */
export const changeMesh = (attempt: Attempt, what: string, act: () => Promise<unknown>): Promise<boolean> =>
  attempt.run(async () => {
    await act();
    await agent.takeMesh(api.mesh());
  }, what);
