import { expect, test } from "vitest";
import { readmeOf, targetOf } from "./links";

test("a link leads to the web, to a file beside the document, or nowhere", () => {
  expect(targetOf("https://example.org/a", "README.md")).toEqual({ kind: "web", href: "https://example.org/a" });
  expect(targetOf("../src/a%20b.rs#L3", "docs/guide.md")).toEqual({ kind: "file", path: "src/a b.rs" });
  expect(targetOf("/top.md", "docs/guide.md")).toEqual({ kind: "file", path: "top.md" });
  for (const href of ["javascript:alert(1)", "JaVaScript:x", "data:text/html,x", "//evil.example", "#part", "", "../../outside", "vbscript:x"]) {
    expect(targetOf(href, "docs/guide.md")).toBe(null);
  }
});

test("the README of a folder is Markdown first", () => {
  const paths = ["README", "docs/Readme.txt", "docs/more/README.md", "readme.md", "src/main.rs"];
  expect(readmeOf(paths, "")).toBe("readme.md");
  expect(readmeOf(paths, "docs/")).toBe("docs/Readme.txt");
  expect(readmeOf(paths, "src/")).toBe(null);
});
