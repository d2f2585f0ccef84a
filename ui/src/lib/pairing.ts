// Pairing in words, of phones and of computers. Pure.

/** How far a pairing is. */
export type PendingState = "meeting" | "comparing" | "accepted" | "ended";

/** The time that is left, as a clock shows it: `9:58`. */
export function countdown(until: string, now: number): string {
  const seconds = Math.max(0, Math.floor((Date.parse(until) - now) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The device that a person has to look at: one with digits before one that has just come. */
export function toCompare<T extends { state: PendingState }>(pending: T[]): T | undefined {
  const first = (state: PendingState) => pending.find((each) => each.state === state);
  return first("comparing") ?? first("accepted") ?? first("meeting");
}
