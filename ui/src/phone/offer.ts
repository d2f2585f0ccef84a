// What the QR code holds: `#pair=` with the agent's id and a secret that counts once. No server sees what stands behind a `#`.

/** An offer: who makes it, and what proves that it was seen. */
export interface Offer {
  /** The agent's endpoint id; `null` where the secret was typed, and the page asks who it is. */
  host: string | null;
  secret: Uint8Array;
}

/** Reads an address's fragment. */
export function parseOffer(hash: string): Offer | null {
  const found = /^#pair=([0-9a-f]{64})\.([0-9a-f]{32})$/.exec(hash);
  return found?.[1] && found[2] ? { host: found[1], secret: fromHex(found[2]) } : null;
}

/** Reads what a person typed: twelve letters, with or without strokes, in either case. */
export function parseCode(text: string): Offer | null {
  const plain = text.replace(/[-\s]/g, "").toUpperCase();
  return /^[2-9A-HJKMNP-TV-Z]{12}$/.test(plain) ? { host: null, secret: new TextEncoder().encode(plain) } : null;
}

/** Whether the address has an offer, whole or not. */
export const hasOffer = (): boolean => location.hash.startsWith("#pair=");

/** Takes the offer out of the address, so that it is neither shared nor kept in the history. `damaged` is one that was not read whole. */
export function takeOffer(): Offer | "damaged" | null {
  if (!hasOffer()) return null;
  const offer = parseOffer(location.hash);
  history.replaceState(history.state, "", location.pathname + location.search);
  return offer ?? "damaged";
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
