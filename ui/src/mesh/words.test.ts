import { expect, test } from "vitest";
import type { Join, LinkState, Mesh, Peer } from "../lib/types";
import { spots } from "./picture";
import { changeWords, isJoin, linkKind, linkWords, memberRights, meetingOf, rightsLetters, roundTrip, tunnelChoice, tunnelWords, unheardWords } from "./words";

const now = Date.parse("2026-11-22T12:00:00Z");
const since = "2026-11-22T11:57:00Z";

const peer = (more: Partial<Peer> = {}): Peer => ({
  endpoint_id: "ab".repeat(32),
  name: "studio",
  kind: "agent",
  role: "peer",
  state: { kind: "connected", since },
  link: "route",
  dialled: false,
  address: null,
  round_trip_ms: 3.2,
  tunnel: null,
  trusted: true,
  capabilities: "gio",
  projects: {},
  repositories: [],
  available: [],
  heard_at: null,
  last_ok: null,
  error: null,
  ...more,
});

const mesh = (more: Partial<Mesh>): Mesh => ({ role: "peer", role_from: "app", joins: [], peers: [], ...more }) as Mesh;
const join = (id: string, kind = "leaf"): Join => ({ id, url: `nats-${kind}://${id}:1`, from: "app", state: { kind: "standby" }, peer: null });

test("a link's state says for how long, or when it is tried again", () => {
  const said = (state: LinkState) => [linkWords(state, now).words, linkWords(state, now).detail].join(" · ");
  expect(said({ kind: "connected", since })).toBe("Connected · for 3 min");
  expect(linkWords({ kind: "connected", since }, now, true).detail).toBe("heard 3 min ago");
  expect(said({ kind: "gone", since })).toBe("Silent · for 3 min");
  const failed = { kind: "error", code: "remote", message: "refused", hint: null, since } as const;
  expect(said({ ...failed, retry_at: "2026-11-22T12:00:30Z" })).toBe("Can't connect · retrying in 30 s");
  expect(said({ ...failed, code: "unpaired", retry_at: null })).toBe("Unpaired · for 3 min");
  expect(said({ ...failed, retry_at: null })).toBe("Can't connect · for 3 min");
});

test("a link says how messages come and who made it", () => {
  expect(linkKind(peer())).toBe("direct, from there");
  expect(linkKind(peer({ link: "leaf", dialled: true }))).toBe("leaf link, from here");
  expect(linkKind(peer({ link: "via" }))).toBe("through others");
  const over = (path: "direct" | "relay") => linkKind(peer({ tunnel: { path, address: "192.0.2.1:7", round_trip_ms: 2 } }));
  expect([over("direct"), over("relay")]).toEqual(["tunnel, from there", "tunnel by relay, from there"]);
});

test("round trips have three digits at most", () => {
  expect([null, 0.42, 3.21, 140.4, 1234].map(roundTrip)).toEqual(["—", "0.4 ms", "3.2 ms", "140 ms", "1.2 s"]);
});

test("becoming a leaf tells which links end and what is dialled then", () => {
  const others = [peer(), peer({ link: "leaf" }), peer({ dialled: true }), peer({ link: "via" }), peer({ state: { kind: "gone", since } })];
  expect(changeWords(mesh({ peers: others, joins: [join("a"), join("b"), join("c", "route")] }), "leaf")).toBe(
    "Nobody can come to this machine any more: 2 links from others will end. One of its nats-leaf:// joins is dialled at a time, the others stand by.",
  );
  expect(changeWords(mesh({ joins: [join("c", "route")] }), "leaf")).toContain("There is no nats-leaf:// join to dial yet");
});

test("leaving the leaf's role opens this machine", () => {
  expect(changeWords(mesh({ role: "leaf", joins: [join("a")] }), "peer")).toBe(
    "Others can come to this machine at its addresses. All its joins are dialled; links that stand stay.",
  );
  expect(changeWords(mesh({ role: "leaf" }), "hub")).toContain("Others can come");
  expect(changeWords(mesh({ joins: [join("a"), join("c", "route")] }), "hub")).toBe(
    "Links that others made stay. 1 nats-leaf:// join will not be dialled: a hub is nobody’s leaf.",
  );
});

test("only addresses that can be dialled count as joins", () => {
  expect(["nats-leaf://a.example:7422", " nats-route://[::1]:7423 ", "nats-route://10.0.0.1:1/"].map(isJoin)).toEqual([true, true, true]);
  expect([`iroh:${"07".repeat(32)}`, " iroh:edgesyncab23", "iroh:EDGESYNCAB23"].map(isJoin)).toEqual([true, true, true]);
  expect(["iroh:", "iroh:0707", "iroh:endpointab23", "edgesyncab23"].map(isJoin)).toEqual([false, false, false, false]);
  expect(["", "http://a:1", "nats://a:4222", "nats-leaf://a", "nats-leaf://:7422"].map(isJoin)).toEqual([false, false, false, false, false]);
});

test("in the picture only who is heard has a line, and none lie on each other", () => {
  const placed = spots([peer({ state: { kind: "gone", since } }), peer(), peer({ link: "via" })]);
  expect(placed.map((spot) => [spot.stroke !== null, spot.through])).toEqual([[true, false], [true, true], [false, false]]);
  const many = spots(Array.from({ length: 30 }, () => peer()));
  expect(new Set(many.map((spot) => `${Math.round(spot.x)} ${Math.round(spot.y)}`)).size).toBe(10);
});

test("what a member may do is said in full", () => {
  expect(memberRights({ capabilities: "gio", projects: {} })).toBe("Clones, reads and writes everything");
  expect(memberRights({ capabilities: "", projects: { a: "go" } })).toBe("Clones and reads 1 project");
  expect(memberRights({ capabilities: "o", projects: { a: "gio", b: "gio" } })).toBe("Reads everything; clones, reads and writes 2 projects besides");
  expect(memberRights({ capabilities: "", projects: {} })).toBe("May do nothing");
});

test("who has not heard of an end is named", () => {
  const mesh = { endpoint_id: "me", members: [{ endpoint_id: "a", name: "studio" }], revoked: [], peers: [] } as unknown as Mesh;
  expect(unheardWords(mesh, { unheard: [] })).toBe("All members have heard it.");
  expect(unheardWords(mesh, { unheard: ["a", "bbbbbbbbbbbbbbbb"] })).toBe("Not yet heard by studio, bbbbbbbbbb: it may still have links there.");
});

test("the tunnel is told as it is, and chosen as it is told", () => {
  const tunnel = { on: true, from: "app", public: false, relays: [] as string[], lan: false } as const;
  expect(tunnelWords({ ...tunnel, on: false, relays: [] })).toMatch(/^Off\./);
  expect(tunnelWords({ ...tunnel, relays: [] })).toMatch(/^On, without a relay\./);
  expect(tunnelWords({ ...tunnel, relays: ["https://r/"], from: "flag" })).toMatch(/with the relay https:\/\/r\/.*A flag chose this/);
  expect(tunnelWords({ ...tunnel, lan: true })).toMatch(/find each other on this network/);
  expect(tunnelWords(tunnel)).not.toMatch(/this network/);
  for (const choice of [tunnelChoice("direct", "https://r", true), tunnelChoice("relay", " https://r, https://s ", false), tunnelChoice("public", "", true)]) {
    expect(tunnelChoice(meetingOf(choice), choice.relays.join(" "), choice.lan)).toEqual(choice);
  }
  expect(tunnelChoice("relay", " https://r, https://s ", false).relays).toEqual(["https://r", "https://s"]);
});

test("rights are told in Fossil's letters too", () => {
  const [one, other] = ["ab", "cd"].map((each) => each.repeat(20));
  expect(rightsLetters({ capabilities: "gio", projects: {} })).toBe("gio");
  expect(rightsLetters({ capabilities: "", projects: { [one as string]: "go", [other as string]: "go" } })).toBe("go in 2 projects");
  expect(rightsLetters({ capabilities: "o", projects: { [one as string]: "gio" } })).toBe("o; gio in 1 project");
  expect(rightsLetters({ capabilities: "", projects: {} })).toBe("");
});
