// Syntax colours as data: tokens per line, never markup, so that they mix with a diff's marks and no HTML is injected.
import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import lua from "highlight.js/lib/languages/lua";
import makefile from "highlight.js/lib/languages/makefile";
import markdown from "highlight.js/lib/languages/markdown";
import php from "highlight.js/lib/languages/php";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import swift from "highlight.js/lib/languages/swift";
import tcl from "highlight.js/lib/languages/tcl";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";
import { baseName } from "./format";

const languages = {
  bash, c, cpp, css, diff, go, ini, java, javascript, json, lua, makefile, markdown, php, python, ruby, rust, sql, swift, tcl,
  typescript, xml, yaml,
};
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);

type Language = keyof typeof languages;

const byExtension: Record<string, Language> = {
  sh: "bash", bash: "bash", zsh: "bash", c: "c", h: "c", cc: "cpp", cpp: "cpp", cxx: "cpp", hh: "cpp", hpp: "cpp",
  css: "css", scss: "css", diff: "diff", patch: "diff", go: "go", ini: "ini", toml: "ini", cfg: "ini", conf: "ini", lock: "ini",
  java: "java", kt: "java", cs: "java", js: "javascript", mjs: "javascript", cjs: "javascript", jsx: "javascript",
  json: "json", lua: "lua", mk: "makefile", md: "markdown", php: "php", py: "python", rb: "ruby", rs: "rust", sql: "sql",
  swift: "swift", tcl: "tcl", test: "tcl", ts: "typescript", mts: "typescript", tsx: "typescript", html: "xml", htm: "xml",
  svelte: "xml", vue: "xml", xml: "xml", svg: "xml", yml: "yaml", yaml: "yaml",
};

/** A larger text is shown without colours: finding them would hold up the page. */
const max_chars = 256 * 1024;

/** A piece of a line and the class that colours it, or `null`. */
export interface Token {
  text: string;
  kind: string | null;
}

/** The language of a file by its name, or `null`. */
export function languageOf(path: string): Language | null {
  const name = baseName(path).toLowerCase();
  if (name === "makefile" || name === "gnumakefile") return "makefile";
  if (name === "dockerfile" || name.startsWith(".bash")) return "bash";
  const dot = name.lastIndexOf(".");
  return dot < 0 ? null : (byExtension[name.slice(dot + 1)] ?? null);
}

/** The language that a document's code block names, or `null`. */
export function languageNamed(name: string): Language | null {
  const lower = name.toLowerCase();
  return lower in languages ? (lower as Language) : (byExtension[lower] ?? null);
}

/** The text's lines as tokens. Joined again, the tokens are the text. */
export function highlight(text: string, language: Language | null): Token[][] {
  if (language === null || text.length > max_chars) return text.split("\n").map((line) => [{ text: line, kind: null }]);
  return splitLines(tokensOf(hljs.highlight(text, { language, ignoreIllegals: true }).value));
}

const entities: Record<string, string> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'" };

/** Reads the highlighter's own markup: nested spans and five entities, nothing else. */
function tokensOf(markup: string): Token[] {
  const tokens: Token[] = [];
  const kinds: (string | null)[] = [];
  for (const [piece, opened] of markup.matchAll(/<span class="([^"]*)">|<\/span>|[^<]+/g)) {
    if (opened !== undefined) kinds.push(kindOf(opened) ?? kinds.at(-1) ?? null);
    else if (piece === "</span>") kinds.pop();
    else tokens.push({ text: piece.replace(/&(?:amp|lt|gt|quot|#x27);/g, (entity) => entities[entity] ?? entity), kind: kinds.at(-1) ?? null });
  }
  return tokens;
}

function splitLines(tokens: Token[]): Token[][] {
  const lines: Token[][] = [[]];
  for (const { text, kind } of tokens) {
    for (const [i, part] of text.split("\n").entries()) {
      if (i > 0) lines.push([]);
      if (part !== "") lines.at(-1)?.push({ text: part, kind });
    }
  }
  return lines;
}

/** Few colours say more than many: the highlighter's scopes as the seven of `tokens.css`. */
const kindsByScope: Record<string, string> = {
  keyword: "keyword", "selector-tag": "keyword", "template-tag": "keyword", name: "keyword", section: "keyword",
  string: "string", regexp: "string", "template-variable": "string", addition: "string", code: "string",
  number: "number", literal: "number", symbol: "number", bullet: "number", link: "number",
  comment: "comment", quote: "comment", doctag: "comment",
  title: "title", function: "title",
  type: "type", built_in: "type", class: "type", "selector-class": "type", "selector-id": "type",
  attr: "title", attribute: "title", property: "title", meta: "meta", deletion: "meta", variable: "meta",
};

function kindOf(classes: string): string | null {
  const scope = /hljs-([\w-]+)/.exec(classes)?.[1]?.replace(/_+$/, "") ?? "";
  return kindsByScope[scope] ?? null;
}
