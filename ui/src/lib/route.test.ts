import { expect, test } from "vitest";
import { parseRoute, to } from "./route";

test.each([
  ["/", { page: "overview" }],
  ["/add", { page: "add", way: "existing" }],
  ["/add/clone", { page: "add", way: "clone" }],
  ["/r/edgesync", { page: "timeline", name: "edgesync", checkIn: null }],
  ["/r/edgesync/timeline", { page: "timeline", name: "edgesync", checkIn: null }],
  ["/r/edgesync/c/abc123", { page: "timeline", name: "edgesync", checkIn: "abc123" }],
  ["/r/edgesync/files", { page: "files", name: "edgesync", version: "tip", path: null }],
  ["/r/edgesync/files/trunk/src/a%20b.rs", { page: "files", name: "edgesync", version: "trunk", path: "src/a b.rs" }],
  ["/r/edgesync/settings", { page: "settings", name: "edgesync" }],
  ["/mesh", { page: "mesh", pairing: false }],
  ["/mesh/pair", { page: "mesh", pairing: true }],
  ["/devices", { page: "devices", pairing: false }],
  ["/devices/pair", { page: "devices", pairing: true }],
  ["/devices/other", { page: "unknown" }],
  ["/doctor", { page: "doctor" }],
  ["/log", { page: "log" }],
  ["/r/edgesync/nowhere", { page: "unknown" }],
  ["/%E0%A4", { page: "unknown" }],
])("%s", (path, route) => expect(parseRoute(path)).toEqual(route));

test("odd names survive the way through the address", () => {
  const name = "a/b ?#%";
  expect(parseRoute(to.timeline(name))).toEqual({ page: "timeline", name, checkIn: null });
  expect(parseRoute(to.files(name, "feature/x", "dir #1/\u00fc.txt"))).toEqual({
    page: "files",
    name,
    version: "feature/x",
    path: "dir #1/\u00fc.txt",
  });
});
