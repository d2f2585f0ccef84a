// Phones and their rights in words. Pure.
import type { Device, PendingDevice } from "../lib/types";

/** What a phone may do: `Reads and answers demo, web`. */
export function rightsWords(device: Pick<Device, "projects" | "answers">): string {
  const what = device.answers ? "Reads and answers" : "Reads";
  return `${what} ${device.projects === null ? "all projects" : device.projects.join(", ")}`;
}

/** The time that is left, as a clock shows it: `9:58`. */
export function countdown(until: string, now: number): string {
  const seconds = Math.max(0, Math.floor((Date.parse(until) - now) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The phone that a person has to look at: one with digits before one that has just come. */
export function toCompare(pending: PendingDevice[]): PendingDevice | undefined {
  return pending.find((each) => each.state === "comparing") ?? pending.find((each) => each.state === "accepted") ?? pending.find((each) => each.state === "meeting");
}

/** The projects that people have typed, with commas or spaces between them. */
export const typedProjects = (text: string): string[] => text.split(/[\s,]+/).filter((name) => name !== "");
