// The log's lines: which are shown, and what they say.
import { clockDay, clockTime, plural } from "../lib/format";
import type { LogLevel, LogLine, LogPage } from "../lib/types";

/** A line with its number, which no other one of this agent's run has. */
export interface Numbered extends LogLine {
  number: number;
}

/** The lines that are kept here at most; the file has more. */
export const max_lines = 2000;

/** Adds a page to the lines that are known. One that begins before their end is of a new run of the agent, and replaces them. */
export function withPage(known: Numbered[], page: LogPage): Numbered[] {
  const added = page.lines.map((line, place) => ({ ...line, number: page.first + place }));
  const last = known.at(-1)?.number ?? 0;
  const kept = page.first > last ? known : [];
  return [...kept, ...added].slice(-max_lines);
}

const rank: Record<LogLevel, number> = { error: 0, warn: 1, info: 2, debug: 3, trace: 4 };

export type Least = "all" | "warn" | "error";

/** What a line says, as one text. */
export function lineText(line: LogLine): string {
  const fields = Object.entries(line.fields ?? {}).map(([name, value]) => ` ${name}=${value}`);
  return line.message + fields.join("");
}

/** The lines that are at least this bad and have every word of `search`, newest first. */
export function shownLines(lines: Numbered[], least: Least, search: string): Numbered[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const limit = least === "all" ? rank.trace : rank[least];
  const fits = (line: Numbered) => {
    if (rank[line.level] > limit) return false;
    if (words.length === 0) return true;
    const text = `${line.target} ${lineText(line)}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return lines.filter(fits).reverse();
}

/** How many are shown, and of how many. */
export const countWords = (shown: number, all: number): string => (shown === all ? plural(all, "line") : `${shown} of ${plural(all, "line")}`);

/** When a line was said; with the day where that is another one. */
export function lineTime(at: string, now: number): string {
  const seconds = new Date(at).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return clockDay(at, now).replace(clockTime(at), seconds);
}

/** The lines as a text to paste elsewhere, oldest first. */
export const asText = (lines: Numbered[]): string =>
  [...lines].reverse().map((line) => `${line.at} ${line.level.toUpperCase()} ${line.target}: ${lineText(line)}`).join("\n");
