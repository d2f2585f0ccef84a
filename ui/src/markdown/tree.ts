// Markdown as data: blocks and inlines that components draw, never markup, so that no text of a repository becomes HTML. HTML in
// a document is reduced to its words. `marked` reads; what it gives is narrowed here to what is drawn.
import { lexer, type Token, type Tokens } from "marked";

export type Inline =
  | { kind: "text" | "code"; text: string }
  | { kind: "strong" | "em" | "del"; inside: Inline[] }
  | { kind: "link"; href: string; inside: Inline[] }
  | { kind: "image"; href: string; alt: string }
  | { kind: "break" };

export type Block =
  | { kind: "heading"; level: number; inside: Inline[] }
  | { kind: "paragraph"; inside: Inline[] }
  | { kind: "code"; language: string; text: string }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "list"; ordered: boolean; start: number; items: { checked: boolean | null; blocks: Block[] }[] }
  | { kind: "table"; head: Inline[][]; rows: Inline[][][]; align: ("left" | "center" | "right" | null)[] }
  | { kind: "rule" };

/** A longer document is shown as its source: reading it would hold up the page. */
export const max_chars = 256 * 1024;

/** Nesting beyond this is drawn flat: nobody writes it, and drawing it would exhaust the stack. */
const max_depth = 24;

const insideOf = (token: Token): Token[] | undefined => ("tokens" in token ? token.tokens : undefined);

/** Reads a document. */
export function parseMarkdown(text: string): Block[] {
  return blocksOf(lexer(text.replaceAll("\r\n", "\n"), { gfm: true }), 0);
}

function blocksOf(tokens: Token[], depth: number): Block[] {
  if (depth > max_depth) return [{ kind: "paragraph", inside: [{ kind: "text", text: tokens.map((token) => token.raw).join("") }] }];
  return tokens.flatMap((token) => blockOf(token, depth) ?? []);
}

function blockOf(token: Token, depth: number): Block | null {
  switch (token.type) {
    case "heading":
      return { kind: "heading", level: (token as Tokens.Heading).depth, inside: inlinesOf(insideOf(token) ?? [], depth) };
    case "paragraph":
    case "text":
      return { kind: "paragraph", inside: inlinesOf(insideOf(token) ?? [token], depth) };
    case "code":
      return { kind: "code", language: ((token as Tokens.Code).lang ?? "").split(/[\s,{]/, 1)[0] ?? "", text: (token as Tokens.Code).text };
    case "blockquote":
      return { kind: "quote", blocks: blocksOf(insideOf(token) ?? [], depth + 1) };
    case "list":
      return listOf(token as Tokens.List, depth);
    case "table":
      return tableOf(token as Tokens.Table, depth);
    case "hr":
      return { kind: "rule" };
    case "html": {
      const words = wordsOf(token.raw).replace(/\s+/g, " ").trim();
      return words === "" ? null : { kind: "paragraph", inside: [{ kind: "text", text: words }] };
    }
    default:
      return null;
  }
}

function listOf(token: Tokens.List, depth: number): Block {
  return {
    kind: "list",
    ordered: token.ordered,
    start: typeof token.start === "number" ? token.start : 1,
    items: token.items.map((item) => ({
      checked: item.task ? item.checked === true : null,
      blocks: blocksOf(item.tokens.filter((each) => each.type !== "checkbox"), depth + 1),
    })),
  };
}

function tableOf(token: Tokens.Table, depth: number): Block {
  const cells = (row: Tokens.TableCell[]) => row.map((cell) => inlinesOf(cell.tokens, depth));
  return { kind: "table", head: cells(token.header), rows: token.rows.map(cells), align: token.align };
}

function inlinesOf(tokens: Token[], depth: number): Inline[] {
  if (depth > max_depth) return [{ kind: "text", text: tokens.map((token) => token.raw).join("") }];
  return tokens.flatMap((token): Inline[] => {
    const inside = () => inlinesOf(insideOf(token) ?? [], depth + 1);
    switch (token.type) {
      case "strong":
      case "em":
      case "del":
        return [{ kind: token.type, inside: inside() }];
      case "codespan":
        return [{ kind: "code", text: (token as Tokens.Codespan).text }];
      case "link":
        return [{ kind: "link", href: (token as Tokens.Link).href, inside: inside() }];
      case "image":
        return [{ kind: "image", href: (token as Tokens.Image).href, alt: (token as Tokens.Image).text }];
      case "br":
        return [{ kind: "break" }];
      case "escape":
        return [{ kind: "text", text: (token as Tokens.Escape).text }];
      case "html":
        return /^<br\s*\/?>/i.test(token.raw) ? [{ kind: "break" }] : [];
      default:
        return insideOf(token) ? inside() : [{ kind: "text", text: decoded(token.raw) }];
    }
  });
}

/** What a reader of an HTML block would see: no tags, scripts or comments. It is shown as text, so nothing depends on missing none. */
const wordsOf = (html: string): string =>
  decoded(html.replace(/<!--[^]*?-->|<(script|style|template)\b[^]*?<\/\1\s*>/gi, " ").replace(/<\/?[a-z!][^<>]*>/gi, ""));

const entities: Record<string, string> = {
  amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", reg: "®", trade: "™", hellip: "…", mdash: "—", ndash: "–",
  laquo: "«", raquo: "»", rarr: "→", larr: "←", times: "×", middot: "·", bull: "•", deg: "°",
};

/** Entities as what they stand for; unknown ones stay as they are written. */
const decoded = (text: string): string =>
  text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,6}));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return entities[name] ?? whole;
    const code = decimal === undefined ? parseInt(hex ?? "", 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
