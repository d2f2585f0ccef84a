import { expect, test } from "vitest";
import { foldersAbove, matchingRows, treeRows } from "./tree";
import type { FileEntry } from "./types";

const files: FileEntry[] = ["README.md", "src/lib/a.rs", "src/lib/b.rs", "src/main.rs", "docs/x.md"].map((path) => ({
  path,
  hash: "0",
  size: 1,
  permissions: "file",
}));

const shape = (open: string[]) => treeRows(files, new Set(open)).map((row) => `${"  ".repeat(row.depth)}${row.name}${row.file ? "" : "/"}`);

test("a closed tree is its top level, folders first", () => {
  expect(shape([])).toEqual(["src/", "docs/", "README.md"]);
});

test("open folders show what is in them", () => {
  expect(shape(["src", "src/lib"])).toEqual(["src/", "  lib/", "    a.rs", "    b.rs", "  main.rs", "docs/", "README.md"]);
});

test("a folder inside a closed one stays unseen though it is open itself", () => {
  expect(shape(["src/lib"])).toEqual(["src/", "docs/", "README.md"]);
});

test("the folders above a path open the way to it", () => {
  expect(foldersAbove("src/lib/a.rs")).toEqual(["src", "src/lib"]);
  expect(foldersAbove("README.md")).toEqual([]);
});

test("a search wants all words, in any case", () => {
  expect(matchingRows(files, "SRC b.r").map((row) => row.path)).toEqual(["src/lib/b.rs"]);
  expect(matchingRows(files, "src rs").length).toBe(3);
});
