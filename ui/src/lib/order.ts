// Which of two things said about one subject is the newer: an answer of the API, or what the event stream told while it was
// asked for. Both are snapshots of the agent and come over different connections, so the order of their arrival says nothing;
// but of every change the stream tells, so an answer that was overtaken can be left out and what is shown still becomes true.

export class Order {
  #count = 0;
  readonly #last = new Map<string, number>();

  /** The stream told of `subject`. */
  heard(subject: string): void {
    this.#count += 1;
    this.#last.set(subject, this.#count);
  }

  /** Begins a request; what is returned says whether the stream has told of a subject since. */
  begin(): (subject: string) => boolean {
    const begun = this.#count;
    return (subject) => (this.#last.get(subject) ?? 0) > begun;
  }
}
