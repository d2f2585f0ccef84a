// Where a new repository file would likely go.
import { baseName, folderOf } from "../lib/format";
import type { Repository } from "../lib/types";

/** The folder, with its slash, that the agent's repositories are in, as far as one can tell. */
export function homeOf(repositories: Repository[]): string {
  const last = repositories.at(-1);
  return last ? folderOf(last.path) : "/home/you/";
}

/** A file for a clone of `url`: named like the last part of its path. */
export function placeFor(url: string, repositories: Repository[]): string {
  const name = nameIn(url);
  return name === "" || repositories.length === 0 ? "" : `${homeOf(repositories)}${name}.fossil`;
}

function nameIn(url: string): string {
  try {
    const { hostname, pathname } = new URL(url);
    const last = baseName(pathname.replace(/\/+$/, "")).replace(/\.fossil$/, "");
    return decodeURIComponent(last || hostname).replace(/[^\w.-]+/g, "-");
  } catch {
    return "";
  }
}
