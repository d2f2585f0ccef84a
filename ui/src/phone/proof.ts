// Proves that an offer was seen without saying its secret, and makes the six digits that people compare; the agent does the same. A page that came by
// plain HTTP has no cryptography of its browser's, so SHA-256 comes with it.
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { fromHex, type Offer, toHex } from "./offer";

const label = (text: string) => new TextEncoder().encode(text);

/** Each part behind its length in four bytes. */
function framed(parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((size, part) => size + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}

/** What the phone says and hears while it is paired with `host`. */
export class Claimant {
  readonly #host: Uint8Array;
  readonly #id: Uint8Array;
  readonly #nonce: Uint8Array;
  readonly #verifier: Uint8Array;
  readonly #commit: Uint8Array;

  /** `id` and `nonce` are 32 random bytes each, for this claim alone. */
  constructor(host: string, offer: Offer, id: Uint8Array, nonce: Uint8Array, purpose = "device") {
    this.#host = fromHex(host);
    this.#id = id;
    this.#nonce = nonce;
    this.#verifier = sha256(framed([label("edgesync pair verifier 1"), this.#host, label(purpose), offer.secret]));
    this.#commit = sha256(framed([label("edgesync pair commit 1"), id, nonce]));
  }

  get id(): string {
    return toHex(this.#id);
  }

  /** What to say first. */
  claim(): { version: number; commit: string; proof: string } {
    const proof = this.#sign("edgesync pair claim 1", this.#commit);
    return { version: 1, commit: toHex(this.#commit), proof: toHex(proof) };
  }

  /** The digits, or `null` when who answered does not know the secret. */
  digits(hello: { nonce: string; proof: string }): string | null {
    const nonce = fromHex(hello.nonce);
    if (toHex(this.#sign("edgesync pair hello 1", this.#commit, nonce)) !== hello.proof) return null;
    const hash = this.#sign("edgesync pair digits 1", nonce, this.#nonce);
    const number = hash.slice(0, 8).reduce((sum, byte) => (sum * 256n + BigInt(byte)) % (1n << 64n), 0n);
    return (number % 1_000_000n).toString().padStart(6, "0");
  }

  /** What the phone had bound itself to. */
  reveal(name: string): { nonce: string; name: string } {
    return { nonce: toHex(this.#nonce), name };
  }

  #sign(what: string, ...more: Uint8Array[]): Uint8Array {
    return hmac(sha256, this.#verifier, framed([label(what), this.#host, this.#id, ...more]));
  }
}
