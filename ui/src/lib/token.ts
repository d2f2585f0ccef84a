// The token that opens the API: it arrives in the address's fragment, which no server sees, and is kept for this tab alone.
const key = "edgesync-token";

/** Moves the token from the address into the tab's storage and cleans the address. */
export function takeToken(): void {
  const found = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (!found) return;
  sessionStorage.setItem(key, decodeURIComponent(found));
  history.replaceState(history.state, "", location.pathname + location.search);
}

/** The token, or `null` when this tab was opened without one. */
export const token = (): string | null => sessionStorage.getItem(key);

/** Drops a token that the agent refused. */
export const dropToken = (): void => sessionStorage.removeItem(key);
