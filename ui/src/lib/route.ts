// Addresses of the page's places. Parsing and writing are each other's inverse.

export type Section = "timeline" | "files" | "settings";

export type Route =
  | { page: "overview" }
  | { page: "add"; way: "existing" | "create" | "clone" }
  | { page: "timeline"; name: string; checkIn: string | null }
  | { page: "files"; name: string; version: string; path: string | null }
  | { page: "settings"; name: string }
  | { page: "inbox"; thread: string | null }
  | { page: "mesh"; pairing: boolean }
  | { page: "choices" }
  | { page: "devices"; pairing: boolean }
  | { page: "doctor" }
  | { page: "log" }
  | { page: "unknown" };

/** Finds the place that `pathname` names. */
export function parseRoute(pathname: string): Route {
  const parts = pathname.split("/").filter((part) => part !== "").map(decode);
  const [head, name, section, ...rest] = parts;
  if (head === undefined) return { page: "overview" };
  if (head === "inbox") return { page: "inbox", thread: name ?? null };
  if (head === "mesh" && (name === undefined || name === "pair")) return { page: "mesh", pairing: name === "pair" };
  if (head === "settings" && name === undefined) return { page: "choices" };
  if (head === "devices" && (name === undefined || name === "pair")) return { page: "devices", pairing: name === "pair" };
  if (head === "log" && name === undefined) return { page: "log" };
  if (head === "doctor" && name === undefined) return { page: "doctor" };
  if (head === "add") {
    if (name === undefined || name === "existing") return { page: "add", way: "existing" };
    if (name === "create" || name === "clone") return { page: "add", way: name };
    return { page: "unknown" };
  }
  if (head !== "r" || name === undefined) return { page: "unknown" };
  switch (section) {
    case undefined:
    case "timeline":
      return { page: "timeline", name, checkIn: null };
    case "c":
      return { page: "timeline", name, checkIn: rest[0] ?? null };
    case "files":
      return { page: "files", name, version: rest[0] ?? "tip", path: rest.length > 1 ? rest.slice(1).join("/") : null };
    case "settings":
      return { page: "settings", name };
    default:
      return { page: "unknown" };
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const part = encodeURIComponent;

/** Writes addresses; every link of the page comes from here. */
export const to = {
  overview: () => "/",
  inbox: (thread: string | null = null) => (thread === null ? "/inbox" : `/inbox/${part(thread)}`),
  mesh: () => "/mesh",
  pairComputer: () => "/mesh/pair",
  choices: () => "/settings",
  devices: () => "/devices",
  pair: () => "/devices/pair",
  doctor: () => "/doctor",
  log: () => "/log",
  add: (way: "existing" | "create" | "clone" = "existing") => (way === "existing" ? "/add" : `/add/${way}`),
  timeline: (name: string) => `/r/${part(name)}/timeline`,
  checkIn: (name: string, hash: string) => `/r/${part(name)}/c/${part(hash)}`,
  files: (name: string, version = "tip", path: string | null = null) =>
    `/r/${part(name)}/files/${part(version)}${path === null ? "" : `/${path.split("/").map(part).join("/")}`}`,
  settings: (name: string) => `/r/${part(name)}/settings`,
};
