// Arrow keys in lists: from row to row, and into the list of a screen where nothing has the focus yet. A screen's list is marked `data-list` and hears the keys
// itself; the focus stays where a screen reader put it until a key is pressed.

const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };

/** Moves the focus to the next or previous of the elements that `stops` selects, one to a row, as an arrow key says. */
export function walk(event: KeyboardEvent, list: HTMLElement | undefined, stops: string): void {
  const step = steps[event.key];
  if (!step || !list) return;
  const rows = new Map<Element, HTMLElement>();
  for (const stop of list.querySelectorAll<HTMLElement>(stops)) {
    const row = stop.closest("li, tbody") ?? stop;
    if (!rows.has(row)) rows.set(row, stop);
  }
  const at = [...rows.keys()].findIndex((row) => row.contains(document.activeElement));
  const next = at < 0 ? 0 : Math.max(0, Math.min(rows.size - 1, at + step));
  const stop = [...rows.values()][next];
  if (!stop) return;
  stop.focus();
  event.preventDefault();
}

/** Does the same in a list whose rows have several buttons or links, and fields whose own the arrows are. */
export function walkRows(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  if (event.target instanceof Element && event.target.matches("input, select, textarea")) return;
  walk(event, event.currentTarget, "a[href], button");
}

/** Whether arrow keys mean nothing where the focus is: nowhere, or on a place of the sidebar that led here. */
function isFree(): boolean {
  const focused = document.activeElement;
  return focused === null || focused === document.body || focused.closest('nav[aria-label="Places"]') !== null;
}

/** Gives an arrow key that was pressed where it means nothing to the screen's first list that takes it. */
export function intoList(event: KeyboardEvent): void {
  // Those that it gives to a list come by here again.
  if (!event.isTrusted) return;
  if (!steps[event.key] || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (!isFree() || document.querySelector("dialog[open]")) return;
  for (const list of document.querySelectorAll<HTMLElement>("[data-list]")) {
    if (!list.checkVisibility({ visibilityProperty: true })) continue;
    if (list.dispatchEvent(new KeyboardEvent("keydown", { key: event.key, bubbles: true, cancelable: true }))) continue;
    // A list with one stop for the keyboard walks within itself.
    if (isFree()) list.focus();
    event.preventDefault();
    return;
  }
}
