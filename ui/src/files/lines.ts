// The lines that an address names: `#L12` or `#L12-20`.

export interface Lines {
  first: number;
  last: number;
}

/** The lines in a fragment, or `null`. */
export function parseLines(hash: string): Lines | null {
  const found = /^#L(\d{1,9})(?:-(\d{1,9}))?$/.exec(hash);
  if (!found) return null;
  const one = Number(found[1]);
  const other = Number(found[2] ?? found[1]);
  if (one < 1 || other < 1) return null;
  return { first: Math.min(one, other), last: Math.max(one, other) };
}

/** The fragment for the lines between two, in either order. */
export function lineHash(one: number, other: number): string {
  return one === other ? `#L${one}` : `#L${Math.min(one, other)}-${Math.max(one, other)}`;
}
