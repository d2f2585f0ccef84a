// Where a document's links lead: out to the web, or to another file of the same version. Everything else leads nowhere.
import { folderOf } from "../lib/format";

export type Target = { kind: "web"; href: string } | { kind: "file"; path: string } | null;

/** Finds what `href` in the document at `path` points to. */
export function targetOf(href: string, path: string): Target {
  if (/^(https?:\/\/|mailto:)/i.test(href)) return { kind: "web", href };
  if (/^([a-z][a-z0-9+.-]*:|\/\/|#|$)/i.test(href)) return null;
  const parts = href.startsWith("/") ? [] : folderOf(path).split("/").filter(Boolean);
  for (const part of (href.split(/[?#]/, 1)[0] ?? "").split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(decode(part));
    else if (parts.pop() === undefined) return null;
  }
  return parts.length === 0 ? null : { kind: "file", path: parts.join("/") };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Whether a file of this name is a Markdown document. */
export const isMarkdown = (path: string): boolean => /\.(md|markdown|mkd)$/i.test(path);

/** The README among `paths` that introduces `folder` (empty, or ending with a slash): Markdown before plain text. */
export function readmeOf(paths: string[], folder: string): string | null {
  const names = ["readme.md", "readme.markdown", "readme.mkd", "readme", "readme.txt"];
  const found = paths
    .filter((path) => folderOf(path) === folder)
    .map((path) => ({ path, rank: names.indexOf(path.slice(folder.length).toLowerCase()) }))
    .filter(({ rank }) => rank >= 0)
    .sort((a, b) => a.rank - b.rank);
  return found[0]?.path ?? null;
}
