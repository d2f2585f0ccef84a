import { describe, expect, test } from "vitest";
import { age, baseName, body, count, dayName, folderOf, hostOf, lasting, plural, reflow, saying, sentence, size, title, until } from "./format";

const now = new Date(2026, 10, 22, 12, 0, 0).getTime();
const ago = (ms: number) => new Date(now - ms).toISOString();

test("counts have thousands separators and their noun's number", () => {
  expect(count(20000)).toBe("20,000");
  expect([0, 1, 2].map((n) => plural(n, "file"))).toEqual(["0 files", "1 file", "2 files"]);
  expect(plural(2, "entry", "entries")).toBe("2 entries");
});

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1 KiB"],
  [1536, "1.5 KiB"],
  [10 * 1024 - 1, "10 KiB"],
  [1024 * 1024 - 1, "1 MiB"],
  [20 * 1024 * 1024, "20 MiB"],
  [3.25 * 1024 ** 3, "3.3 GiB"],
])("%i bytes are written %s", (bytes, text) => expect(size(bytes)).toBe(text));

describe("ages", () => {
  test.each([
    [0, "now"],
    [12_000, "12 s ago"],
    [59_999, "59 s ago"],
    [60_000, "1 min ago"],
    [3 * 3_600_000, "3 h ago"],
    [2 * 86_400_000, "2 d ago"],
    [10 * 86_400_000, "12 Nov"],
    [400 * 86_400_000, "18 Oct 2025"],
  ])("%i ms", (ms, text) => expect(age(ago(ms), now)).toBe(text));

  test("a clock that runs ahead is no reason for a negative age", () => expect(age(ago(-5000), now)).toBe("now"));

  test.each([
    [30_000, "in 30 s"],
    [119_000, "in 1 min"],
    [3_600_000, "in 1 h"],
    [4_859_000, "in 1 h 20 min"],
    [47 * 3_600_000, "in 47 h"],
    [80 * 3_600_000, "in 3 d"],
    [0, "now"],
  ])("%i ms ahead", (ms, text) => expect(until(ago(-ms), now)).toBe(text));
});

test("days are named as people name them", () => {
  expect(dayName(ago(3_600_000), now)).toBe("Today");
  expect(dayName(ago(86_400_000), now)).toBe("Yesterday");
  expect(dayName(ago(3 * 86_400_000), now)).toBe("Thursday 19 November");
  expect(dayName(ago(400 * 86_400_000), now)).toBe("Saturday 18 October 2025");
});

test("a comment is a title and a body", () => {
  expect(title("Fix it\n\nBecause.\n")).toBe("Fix it");
  expect(body("Fix it\n\nBecause.\n")).toBe("Because.");
  expect(title("  ")).toBe("(no comment)");
});

test("lines broken for a terminal are joined, structure stays", () => {
  expect(reflow("one\ntwo\n\nthree\n- a\n- b\n1. c\n    code\nend")).toBe("one two\n\nthree\n- a\n- b\n1. c\n    code end");
});

test("a wiki page's event is put in words", () => {
  expect(saying({ kind: "w", comment: "+Home" })).toBe("Page “Home” added");
  expect(saying({ kind: "w", comment: "Home of wiki" })).toBe("Home of wiki");
  expect(saying({ kind: "ci", comment: "+1 for this" })).toBe("+1 for this");
});

test("what Fossil says of tickets and tag changes loses its markup", () => {
  const comment = "New ticket [b561b0550b347c4f|b561b0550b] <i>T &lt;img src=x onerror=alert(7)&gt; &amp;lt;</i>.";
  expect(saying({ kind: "t", comment })).toBe("New ticket b561b0550b T <img src=x onerror=alert(7)> &lt;.");
  expect(saying({ kind: "ci", comment: "Print <b> as &lt;b&gt;" })).toBe("Print <b> as &lt;b&gt;");
});

test("a message begins with a capital unless it begins with a name", () => {
  expect(sentence("there is no /tmp/a.fossil")).toBe("There is no /tmp/a.fossil");
  expect(sentence("/tmp/a is not a file")).toBe("/tmp/a is not a file");
  expect(sentence("sync.example.org can't be reached")).toBe("sync.example.org can't be reached");
});

test("paths and addresses are shortened to what tells them apart", () => {
  expect(baseName("/home/ada/a b.fossil")).toBe("a b.fossil");
  expect(folderOf("/home/ada/a.fossil")).toBe("/home/ada/");
  expect(folderOf("a.fossil")).toBe("");
  expect(hostOf("https://sync.example.org/edgesync")).toBe("sync.example.org");
  expect(hostOf("not a url")).toBe("not a url");
});

test("how long something holds has no “ago”", () => {
  const now = Date.parse("2026-11-22T12:00:00Z");
  expect(lasting("2026-11-22T11:57:00Z", now)).toBe("for 3 min");
  expect(lasting("2026-11-22T12:00:00Z", now)).toBe("");
  expect(lasting("2026-11-02T12:00:00Z", now)).toBe("since 2 Nov");
});
