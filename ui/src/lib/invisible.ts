// Characters that are not seen and yet change what a text says: they are named where texts of others are shown, so that
// nothing reads otherwise than it is.

/** A run of a text, or one character that can't be seen, by its name. */
export interface Part {
  text: string;
  /** What to show instead of `text`, such as `U+202E`; `null` for what shows itself. */
  mark: string | null;
}

/**
 * Control characters but tab, line feed and carriage return; formatting characters, which reorder, join or hide (Unicode's `Cf`), but not the
 * joiners inside an emoji, and not those that shape words of Arabic or Indic scripts; fillers that look like space.
 */
const hidden =
  /(?![\t\n\r\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]|(?<![\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f\p{Mark}\p{Script=Arabic}])[\u200c\u200d]/gu;

/** Nearly every text has none: this is asked first. */
const any = /[^\P{C}\t\n\r]|[\u2028\u2029\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0]/u;

/** Cuts a text at the characters that can't be seen. Joined again, the parts' texts are the text. */
export function parts(text: string): Part[] {
  if (!any.test(text)) return [{ text, mark: null }];
  const found: Part[] = [];
  let at = 0;
  for (const { 0: character, index } of text.matchAll(hidden)) {
    if (index > at) found.push({ text: text.slice(at, index), mark: null });
    found.push({ text: character, mark: nameOf(character) });
    at = index + character.length;
  }
  if (at < text.length) found.push({ text: text.slice(at), mark: null });
  return found;
}

/** A text with the names in it, for places that take nothing but text. */
export const named = (text: string): string => parts(text).map((part) => part.mark ?? part.text).join("");

/** `U+202E`, as the standard writes it. */
const nameOf = (character: string): string => `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
