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

/** Kept with each step of the history: the place that one came from, if that was this page's. */
interface Step {
  from: string | null;
}

const step = (): Step => (history.state as Step | null) ?? { from: null };

/** Goes to `href`; `replace` leaves no step to go back to. */
export function go(href: string, options: { replace?: boolean } = {}): void {
  const target = new URL(href, location.href);
  if (target.pathname === location.pathname && target.hash === location.hash) return;
  if (options.replace) history.replaceState(step(), "", target.pathname + target.hash);
  else history.pushState({ from: location.pathname } satisfies Step, "", target.pathname + target.hash);
  path = target.pathname;
  hash = target.hash;
}

/** Closes what is open over the place `under`: a step back where one came from there, else the place itself without a new step. */
export function leave(under: string): void {
  if (step().from === under) history.back();
  else go(under, { replace: true });
}

/** Lets plain clicks on the page's own links change the place without loading the page again. */
export function followLinks(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  event.preventDefault();
  go(link.href);
}
