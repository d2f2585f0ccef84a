import { expect, test } from "vitest";
import { parseMarkdown } from "./tree";

const text = (words: string) => ({ kind: "text", text: words });

test("a document becomes blocks and inlines", () => {
  expect(parseMarkdown("# Title\n\nSome *soft* `code` and [a link](src/a.rs).\n\n```rust\nlet x = 1;\n```\n\n---\n")).toEqual([
    { kind: "heading", level: 1, inside: [text("Title")] },
    {
      kind: "paragraph",
      inside: [text("Some "), { kind: "em", inside: [text("soft")] }, text(" "), { kind: "code", text: "code" }, text(" and "), { kind: "link", href: "src/a.rs", inside: [text("a link")] }, text(".")],
    },
    { kind: "code", language: "rust", text: "let x = 1;" },
    { kind: "rule" },
  ]);
});

test("lists keep their numbers and boxes, tables their columns", () => {
  const [list, tasks, table] = parseMarkdown("3. three\n4. four\n\n- [x] done\n- [ ] open\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n");
  expect(list).toMatchObject({ kind: "list", ordered: true, start: 3, items: [{ checked: null }, { checked: null }] });
  expect(tasks).toMatchObject({ kind: "list", ordered: false, items: [{ checked: true }, { checked: false }] });
  expect(table).toMatchObject({ kind: "table", align: [null, "right"], rows: [[[text("1")], [text("2")]]] });
});

test("deep nesting ends in its source instead of in an exhausted stack", () => {
  const deep = JSON.stringify(parseMarkdown(`${"> ".repeat(200)}the end`));
  expect(deep).toContain("the end");
});

test("HTML is reduced to its words, entities to their signs", () => {
  const [words] = parseMarkdown('<p onclick="x()">Words in <b>HTML</b> &amp; &#8364; &unknown;<!-- unseen --><script>run()</script></p>\n');
  expect(words).toEqual({ kind: "paragraph", inside: [text("Words in HTML & € &unknown;")] });
  expect(parseMarkdown("a &lt;b> <i>c</i><br>d")).toEqual([
    { kind: "paragraph", inside: [text("a <b> "), text("c"), { kind: "break" }, text("d")] },
  ]);
});
