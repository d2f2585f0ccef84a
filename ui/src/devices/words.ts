// Phones and their rights in words. Pure.
import type { Device } from "../lib/types";

/** What a phone may do: `Reads and answers demo, web`. */
export function rightsWords(device: Pick<Device, "projects" | "answers">): string {
  const what = device.answers ? "Reads and answers" : "Reads";
  return `${what} ${device.projects === null ? "all projects" : device.projects.join(", ")}`;
}

/** The projects that people have typed, with commas or spaces between them. */
export const typedProjects = (text: string): string[] => text.split(/[\s,]+/).filter((name) => name !== "");
