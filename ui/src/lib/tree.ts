// The flat list of a version's files as the rows of a tree.
import type { FileEntry } from "./types";

export interface TreeRow {
  path: string;
  name: string;
  depth: number;
  /** The file, or `null` for a folder. */
  file: FileEntry | null;
}

interface Folder {
  folders: Map<string, Folder>;
  files: FileEntry[];
}

/** The rows that are seen while the folders in `open` are open: folders first, each in the files' own order. */
export function treeRows(files: FileEntry[], open: ReadonlySet<string>): TreeRow[] {
  const rows: TreeRow[] = [];
  walk(folderTree(files), "", 0, open, rows);
  return rows;
}

function folderTree(files: FileEntry[]): Folder {
  const root: Folder = { folders: new Map(), files: [] };
  for (const file of files) {
    let folder = root;
    for (const part of file.path.split("/").slice(0, -1)) {
      let next = folder.folders.get(part);
      if (!next) {
        next = { folders: new Map(), files: [] };
        folder.folders.set(part, next);
      }
      folder = next;
    }
    folder.files.push(file);
  }
  return root;
}

function walk(folder: Folder, above: string, depth: number, open: ReadonlySet<string>, rows: TreeRow[]): void {
  for (const [name, child] of folder.folders) {
    const path = above + name;
    rows.push({ path, name, depth, file: null });
    if (open.has(path)) walk(child, `${path}/`, depth + 1, open, rows);
  }
  for (const file of folder.files) {
    rows.push({ path: file.path, name: file.path.slice(above.length), depth, file });
  }
}

/** The folders above a path, outermost first. */
export function foldersAbove(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}

/** Files whose path has every word of `text` in it, as flat rows. */
export function matchingRows(files: FileEntry[], text: string): TreeRow[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return files
    .filter((file) => words.every((word) => file.path.toLowerCase().includes(word)))
    .map((file) => ({ path: file.path, name: file.path, depth: 0, file }));
}
