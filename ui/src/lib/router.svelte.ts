// Where the page is, kept equal with the browser's address and history.
import { parseRoute, type Route } from "./route";

let path = $state(location.pathname);
let hash = $state(location.hash);
const route = $derived(parseRoute(path));

addEventListener("popstate", () => {
  path = location.pathname;
  hash = location.hash;
});

export const router = {
  get route(): Route {
    return route;
  },
  get path(): string {
    return path;
  },
  /** The fragment with its `#`, or empty. */
  get hash(): string {
    return hash;
  },
};

/** Goes to `href`; `replace` leaves no step to go back to. */
export function go(href: string, options: { replace?: boolean } = {}): void {
  const target = new URL(href, location.href);
  if (target.pathname === location.pathname && target.hash === location.hash) return;
  history[options.replace ? "replaceState" : "pushState"](null, "", target.pathname + target.hash);
  path = target.pathname;
  hash = target.hash;
}

/** Lets plain clicks on the page's own links change the place without loading the page again. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  event.preventDefault();
  go(link.href);
}
