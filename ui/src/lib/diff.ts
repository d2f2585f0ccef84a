// A diff prepared for the eye: colours mixed with the marks of changed words, and lines paired side by side.
import { highlight, languageOf, type Token } from "./highlight";
import type { DiffLine, Hunk, Span } from "./types";

export interface Piece extends Token {
  changed: boolean;
}

export interface ShownLine {
  kind: DiffLine["kind"];
  old: number | null;
  new: number | null;
  pieces: Piece[];
  newline: boolean;
  /** It ends with a carriage return, and not all changed lines around it do: what cannot be seen has to be named. */
  carriage: boolean;
}

/** One row of the side by side view; a side without a line is `null`. */
export interface Pair {
  left: ShownLine | null;
  right: ShownLine | null;
}

const wholeText = (line: DiffLine): string => line.spans.map((span) => span.text).join("");
const textOf = (line: DiffLine): string => wholeText(line).replace(/\r$/, "");
const endsWithReturn = (line: DiffLine): boolean => wholeText(line).endsWith("\r");

/** Colours a hunk's lines: each side is read as a text of its own, so that what was deleted cannot colour what stays. */
export function shownLines(hunk: Hunk, path: string): ShownLine[] {
  const language = languageOf(path);
  const side = (not: DiffLine["kind"]) => highlight(hunk.lines.filter((line) => line.kind !== not).map(textOf).join("\n"), language);
  const old = side("add");
  const young = side("delete");
  const changed = hunk.lines.filter((line) => line.kind !== "context");
  const mixed = changed.some(endsWithReturn) && !changed.every(endsWithReturn);
  let atOld = 0;
  let atNew = 0;
  return hunk.lines.map((line) => {
    const tokens = line.kind === "delete" ? old[atOld] : young[atNew];
    if (line.kind !== "add") atOld += 1;
    if (line.kind !== "delete") atNew += 1;
    const carriage = mixed && line.kind !== "context" && endsWithReturn(line);
    return { kind: line.kind, old: line.old, new: line.new, pieces: mix(tokens ?? [], line.spans), newline: line.newline, carriage };
  });
}

/** Where a hunk stands: its lines after the change, or before it where nothing is left. */
export function hunkPlace(hunk: Hunk): string {
  const gone = hunk.new_lines === 0;
  const first = gone ? hunk.old_start : hunk.new_start;
  const lines = gone ? hunk.old_lines : hunk.new_lines;
  return `${lines > 1 ? `Lines ${first}–${first + lines - 1}` : `Line ${first}`}${gone ? " before" : ""}`;
}

/** Cuts tokens where a changed word begins or ends. Both describe the same text. */
export function mix(tokens: Token[], spans: Span[]): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let used = 0;
  for (const token of tokens) {
    let rest = token.text;
    while (rest !== "") {
      const span = spans[at];
      const left = span ? span.text.length - used : rest.length;
      if (left <= 0) {
        at += 1;
        used = 0;
        continue;
      }
      const text = rest.slice(0, left);
      pieces.push({ text, kind: token.kind, changed: span?.changed ?? false });
      rest = rest.slice(text.length);
      used += text.length;
    }
  }
  return pieces;
}

/** Puts a run of deletions beside the run of additions that follows it; what stays stands on both sides. */
export function sideBySide(lines: ShownLine[]): Pair[] {
  const pairs: Pair[] = [];
  let deleted: ShownLine[] = [];
  let added: ShownLine[] = [];
  const flush = () => {
    for (let i = 0; i < Math.max(deleted.length, added.length); i += 1) {
      pairs.push({ left: deleted[i] ?? null, right: added[i] ?? null });
    }
    deleted = [];
    added = [];
  };
  for (const line of lines) {
    if (line.kind === "delete") {
      if (added.length > 0) flush();
      deleted.push(line);
    } else if (line.kind === "add") {
      added.push(line);
    } else {
      flush();
      pairs.push({ left: line, right: line });
    }
  }
  flush();
  return pairs;
}
