import { expect, test } from "vitest";
import { highlight, languageOf, type Token } from "./highlight";

const joined = (lines: Token[][]) => lines.map((line) => line.map((token) => token.text).join("")).join("\n");

test("a file's name tells its language", () => {
  expect(["src/main.rs", "Makefile", "a/b.HTML", "x.unknown", "LICENSE"].map(languageOf)).toEqual(["rust", "makefile", "xml", null, null]);
});

test.each([
  ["a.rs", "/* two\n   lines */\nfn main() { let s = \"<&>'\"; }\n"],
  ["a.html", "<p class=\"x\">&amp; &lt;b&gt;</p>\n<script>if (a < b && c) {}</script>"],
  ["a.md", "# Title\n\n`code` **bold** &#x27; <b>\n"],
  ["a.json", '{"a": [1, true, null, "\\u00fc"]}'],
  ["plain", "no colours\n<b>&</b>"],
])("%s keeps every character", (path, text) => expect(joined(highlight(text, languageOf(path)))).toBe(text));

test("words get their colours and a comment keeps its own over lines", () => {
  const lines = highlight("/* one\ntwo */ fn main() {}", "rust");
  expect(lines[0]).toEqual([{ text: "/* one", kind: "comment" }]);
  expect(lines[1]?.[0]).toEqual({ text: "two */", kind: "comment" });
  expect(lines[1]?.find((token) => token.text === "fn")?.kind).toBe("keyword");
});
