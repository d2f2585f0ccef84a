// The width of a pane that one can drag and fold. It lives as long as the page, whatever place one goes to.

/** What the other pane keeps at least, in pixels: enough to read a line of code. */
const other_px = 240;

export class PaneWidth {
  folded = $state(false);
  /** In pixels, as it was dragged; `null` until then. */
  #chosen = $state<number | null>(null);
  readonly least: number;
  readonly #usual: (whole: number) => number;

  /** `usual` is its width within `whole` pixels until it is dragged; it never gets narrower than `least`. */
  constructor(least: number, usual: (whole: number) => number) {
    this.least = least;
    this.#usual = usual;
  }

  /** Its width where both panes have `whole` pixels. */
  within(whole: number): number {
    return this.#bounded(this.#chosen ?? this.#usual(whole), whole);
  }

  most(whole: number): number {
    return Math.max(this.least, whole - other_px);
  }

  set(width: number, whole: number): void {
    this.#chosen = this.#bounded(width, whole);
  }

  reset(): void {
    this.#chosen = null;
  }

  #bounded(width: number, whole: number): number {
    return Math.round(Math.max(this.least, Math.min(this.most(whole), width)));
  }
}
