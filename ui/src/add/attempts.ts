// The clone that the form opens with: one that failed and is asked for again.
import type { Job } from "../lib/types";

let chosen: Job | null = null;

/** Chooses that clone for the form that opens next. */
export function again(job: Job): void {
  chosen = job;
}

/** Returns the chosen clone, once. */
export function takeChosen(): Job | null {
  const taken = chosen;
  chosen = null;
  return taken;
}
