// What was asked for in the clones of this page, so that one that failed can be asked for again. Passwords are not kept.

export interface Attempt {
  url: string;
  path: string;
  user: string;
}

const attempts = new Map<string, Attempt>();
let chosen: Attempt | null = null;

/** Keeps what the job with this id was started with. */
export function remember(job: string, attempt: Attempt): void {
  attempts.set(job, attempt);
}

/** Chooses that job's attempt for the form that opens next. */
export function again(job: string): void {
  chosen = attempts.get(job) ?? null;
}

/** Returns the chosen attempt, once. */
export function takeChosen(): Attempt | null {
  const taken = chosen;
  chosen = null;
  return taken;
}
