import { expect, test } from "vitest";
import { named, parts } from "./invisible";

const shown = (text: string) => parts(text).map((part) => part.mark ?? part.text).join("|");

test("a plain text is one part, in any script", () => {
  for (const text of ["", "let x = 1;\t// tabs stay", "Grüße, 你好, שלום", "line\r"]) expect(parts(text)).toEqual([{ text, mark: null }]);
});

test("characters that reorder, hide or end a text are named", () => {
  expect(shown("if (admin\u202e \u2066) {")).toBe("if (admin|U+202E| |U+2066|) {");
  expect(shown("a\u200bb\u00adc\ufeff")).toBe("a|U+200B|b|U+00AD|c|U+FEFF");
  expect(shown("\u001b[31mred\u0000")).toBe("U+001B|[31mred|U+0000");
  expect(shown("tag\u{e0041}")).toBe("tag|U+E0041");
});

test("joiners stay inside an emoji or a Persian word, and are named inside a Latin one", () => {
  for (const text of ["👩‍💻", "👩🏽‍🚀", "می‌خواهم"]) expect(parts(text)).toEqual([{ text, mark: null }]);
  expect(shown("user\u200dname")).toBe("user|U+200D|name");
});

test("a title has the names in it", () => {
  expect(named("invoice\u202etxt.exe")).toBe("invoiceU+202Etxt.exe");
});

test("no character is lost", () => {
  const text = "\u202eabc\u2069 \u200d 👩‍💻\u0007";
  expect(parts(text).map((part) => part.text).join("")).toBe(text);
});
