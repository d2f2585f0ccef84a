// How numbers, sizes, times and names are written. Pure: the present is handed in.

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** `1,234`. */
export const count = (value: number): string => value.toLocaleString("en-US");

/** `1 file`, `2 files`, `1,234 files`. */
export const plural = (value: number, one: string, many = `${one}s`): string => `${count(value)} ${value === 1 ? one : many}`;

/** `512 B`, `1.5 KiB`, `20 MiB`: three digits at most. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = "B";
  for (const next of units) {
    if (value < 1023.5) break;
    value /= 1024;
    unit = next;
  }
  return `${value < 9.95 ? value.toFixed(1).replace(/\.0$/, "") : Math.round(value)} ${unit}`;
}

/** How long ago, in the largest whole unit: `now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 d ago`, then the date. */
export function age(time: string, now: number): string {
  const past = now - Date.parse(time);
  if (Number.isNaN(past)) return "";
  if (past < second) return "now";
  if (past < minute) return `${Math.floor(past / second)} s ago`;
  if (past < hour) return `${Math.floor(past / minute)} min ago`;
  if (past < day) return `${Math.floor(past / hour)} h ago`;
  if (past < 7 * day) return `${Math.floor(past / day)} d ago`;
  return shortDate(time, now);
}

/** For how long something holds: `for 12 s`, `for 3 min`; after a week since when: `since 12 Nov`. */
export function lasting(time: string, now: number): string {
  const past = age(time, now);
  if (past === "" || past === "now") return "";
  return past.endsWith(" ago") ? `for ${past.slice(0, -4)}` : `since ${past}`;
}

/** How long until then, never more than there is: `in 30 s`, `in 5 min`, `in 1 h 20 min`, `in 3 d`; `now` once it has passed. */
export function until(time: string, now: number): string {
  const rest = Date.parse(time) - now;
  if (Number.isNaN(rest) || rest < second) return "now";
  const whole = (unit: number) => Math.floor(rest / unit);
  if (rest < minute) return `in ${whole(second)} s`;
  if (rest < hour) return `in ${whole(minute)} min`;
  const minutes = whole(minute) % 60;
  if (rest < 10 * hour && minutes > 0) return `in ${whole(hour)} h ${minutes} min`;
  return rest < 2 * day ? `in ${whole(hour)} h` : `in ${whole(day)} d`;
}

/** `14:05`. */
export const clockTime = (time: string): string =>
  new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

/** `14:05` when that is today, else `22 Nov, 14:05`. */
export const clockDay = (time: string, now: number): string =>
  dayKey(time) === dayKey(new Date(now).toISOString()) ? clockTime(time) : `${shortDate(time, now)}, ${clockTime(time)}`;

/** `22 Nov`, with the year unless it is the present one. */
export function shortDate(time: string, now: number): string {
  const date = new Date(time);
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", ...(sameYear ? {} : { year: "numeric" }) });
}

/** `22 Nov 2026, 14:05`. */
export const dateTime = (time: string): string =>
  `${new Date(time).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, ${clockTime(time)}`;

/** `Today`, `Yesterday`, `Sunday 22 November`, with the year unless it is the present one. */
export function dayName(time: string, now: number): string {
  const key = dayKey(time);
  if (key === dayKey(new Date(now).toISOString())) return "Today";
  if (key === dayKey(new Date(now - day).toISOString())) return "Yesterday";
  const date = new Date(time);
  const weekday = date.toLocaleDateString("en-GB", { weekday: "long" });
  const sameYear = date.getFullYear() === new Date(now).getFullYear();
  return `${weekday} ${date.toLocaleDateString("en-GB", { day: "numeric", month: "long", ...(sameYear ? {} : { year: "numeric" }) })}`;
}

/** The local calendar day as a comparable number. */
export function dayKey(time: string): number {
  const date = new Date(time);
  return date.getFullYear() * 10000 + (date.getMonth() + 1) * 100 + date.getDate();
}

/** The first ten characters of a hash. */
export const shortHash = (hash: string): string => hash.slice(0, 10);

/** The first line of a comment: its title. */
export const title = (comment: string): string => comment.trim().split(/\r?\n/, 1)[0] || "(no comment)";

/**
 * What a timeline's row says: the title, or what a wiki page's event stands for (Fossil marks it by its first character).
 * The events of tickets and tag changes are told by Fossil itself, in its markup.
 */
export function saying(row: { kind: string; comment: string }): string {
  if (row.kind === "t" || row.kind === "g") return title(unmarked(row.comment));
  const acts: Record<string, string> = { "+": "added", "-": "deleted", ":": "changed" };
  const act = row.kind === "w" ? acts[row.comment.charAt(0)] : undefined;
  return act ? `Page “${row.comment.slice(1)}” ${act}` : title(row.comment);
}

const entities: Record<string, string> = { "&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&#39;": "'" };

/** The words of Fossil's markup: links by their label, no tags, entities as what they stand for. */
export const unmarked = (text: string): string =>
  text
    .replace(/\[[^\]|]*\|([^\]]*)\]/g, "$1")
    .replace(/<\/?[a-z][^<>]*>/gi, "")
    .replace(/&(lt|gt|amp|quot|#39);/g, (entity) => entities[entity] ?? entity);

/** A message as a sentence: with a capital, unless it begins with a path, an address or a name. */
export const sentence = (text: string): string => text.replace(/^[a-z]+(?= )/, (word) => word.charAt(0).toUpperCase() + word.slice(1));

/** What follows the first line of a comment. */
export const body = (comment: string): string => comment.trim().split(/\r?\n/).slice(1).join("\n").trim();

/** Joins lines that were broken for a terminal's width; lists, indented lines and paragraphs stay as they are. */
export const reflow = (text: string): string => text.replace(/([^\s])[ \t]*\r?\n(?![\s\-*+#>|]|\d+[.)])/g, "$1 ");

/** The part of a path after its last slash (either kind). */
export const baseName = (path: string): string => path.split(/[\\/]/).pop() ?? path;

/** The part of a path before its last slash, with the slash; empty without one. */
export const folderOf = (path: string): string => path.slice(0, path.length - baseName(path).length);

/** The host of a URL as a person names it: `sync.example.org`; the whole text when it is no URL. */
export function hostOf(url: string): string {
  try {
    return new URL(url).host || url;
  } catch {
    return url;
  }
}
