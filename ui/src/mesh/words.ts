// The mesh in words: roles, links, and what a change of role will do.
import { age, lasting, plural, shortHash, until } from "../lib/format";
import type { Address, LinkState, Member, Mesh, Peer, PendingAgent, Revoked, Role, SetTunnel, Tunnel } from "../lib/types";
import type { Look } from "../lib/state";

export interface RoleWords {
  role: Role;
  name: string;
  about: string;
}

export const roles: RoleWords[] = [
  { role: "peer", name: "Peer", about: "Laptops and desktops among themselves: this machine dials others and others dial it." },
  { role: "hub", name: "Hub", about: "A server that others come to: this machine waits and dials only other hubs." },
  { role: "leaf", name: "Leaf", about: "Nobody comes in: this machine only dials out, to one hub or peer at a time." },
];

export const roleName = (role: Role): string => roles.find((each) => each.role === role)?.name ?? role;

export interface LinkWords {
  look: Look;
  words: string;
  detail: string;
  /** The time behind `detail`. */
  at: string | null;
}

/** Says how a link stands. Who is heard `through` others has no link whose age could be told, but a last word. */
export function linkWords(state: LinkState, now: number, through = false): LinkWords {
  switch (state.kind) {
    case "connected":
      return { look: "ok", words: "Connected", detail: through ? `heard ${age(state.since, now)}` : lasting(state.since, now), at: state.since };
    case "connecting":
      return { look: "working", words: "Connecting", detail: lasting(state.since, now), at: state.since };
    case "standby":
      return { look: "quiet", words: "Stands by", detail: "", at: null };
    case "unused":
      return { look: "quiet", words: "Not used", detail: state.message, at: null };
    case "error":
      if (state.code === "unpaired") return { look: "error", words: "Unpaired", detail: lasting(state.since, now), at: state.since };
      return {
        look: "error",
        words: "Can't connect",
        detail: state.retry_at ? `retrying ${until(state.retry_at, now)}` : lasting(state.since, now),
        at: state.retry_at ?? state.since,
      };
    case "gone":
      return { look: "needs", words: "Silent", detail: lasting(state.since, now), at: state.since };
  }
}

/** How a peer's messages come: `Route, dialled from here`, `Leaf link from there`, `By others`. */
export function linkKind(peer: Peer): string {
  if (peer.link === null) return "—";
  if (peer.link === "via") return "through others";
  const from = peer.dialled ? "from here" : "from there";
  if (peer.tunnel) return `${peer.tunnel.path === "relay" ? "tunnel by relay" : "tunnel"}, ${from}`;
  return `${peer.link === "leaf" ? "leaf link" : "direct"}, ${from}`;
}

/** `3.2 ms`, `140 ms`, `1.2 s`. */
export function roundTrip(ms: number | null): string {
  if (ms === null) return "—";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** When the last exchange with a peer was completed. */
export const exchanged = (peer: Peer, now: number): string => (peer.last_ok ? age(peer.last_ok, now) : "none yet");

/** What an address is for. */
export const addressKinds: Record<Address["kind"], string> = {
  route: "For peers and hubs",
  leaf: "For leaves",
  client: "For programs",
  tunnel: "Tunnel (UDP)",
  lan: "Finding agents (mDNS)",
};

/** Says what taking `role` will do, before it is done. A leaf dials leaf addresses only, a hub addresses of members only. */
export function changeWords(mesh: Mesh, role: Role): string {
  const joins = (scheme: string) => mesh.joins.filter((join) => join.url.startsWith(scheme)).length;
  if (role === "leaf") {
    const coming = mesh.peers.filter((peer) => peer.state.kind === "connected" && !peer.dialled && (peer.link === "route" || peer.link === "leaf")).length;
    const ends = coming === 0 ? "Nobody can come to this machine any more." : `Nobody can come to this machine any more: ${plural(coming, "link")} from others will end.`;
    const going = joins("nats-leaf:");
    if (going === 0) return `${ends} There is no nats-leaf:// join to dial yet: add one below, or this machine hears nobody.`;
    return `${ends} ${going === 1 ? "Its one nats-leaf:// join is dialled" : "One of its nats-leaf:// joins is dialled at a time, the others stand by"}.`;
  }
  const open = mesh.role === "leaf" ? "Others can come to this machine at its addresses. " : "";
  if (role === "peer") return `${open}${mesh.joins.length === 0 ? "No link changes." : "All its joins are dialled; links that stand stay."}`;
  const idle = joins("nats-leaf:");
  return `${open}Links that others made stay.${idle === 0 ? "" : ` ${plural(idle, "nats-leaf:// join")} will not be dialled: a hub is nobody’s leaf.`}`;
}

/** Why the role will be another after the next start, or nothing. */
export const flagWords = (mesh: Mesh): string => (mesh.role_from === "flag" ? "A flag chose this role. A change holds until the next start, when the flag rules again." : "");

/** Whether a text can be dialled: an address, or a ticket or id of the tunnel. */
export const isJoin = (url: string): boolean =>
  /^nats-(leaf|route):\/\/(?:\[[0-9a-f:]+\]|[^\s/:[\]]+):\d{1,5}\/?$/.test(url.trim()) || /^iroh:(?:edgesync[a-z2-7]+|[0-9a-f]{64})$/i.test(url.trim());

/** What a member is called; its id where nobody has named it. */
export function nameIn(mesh: Mesh, id: string): string {
  if (id === mesh.endpoint_id) return "this computer";
  const named = [...mesh.members, ...mesh.revoked, ...mesh.peers].find((each) => each.endpoint_id === id && each.name);
  return named?.name ?? shortHash(id);
}

/** What a member may do here: `Clones, reads and writes everything`. */
export function memberRights(member: Pick<Member, "capabilities" | "projects">): string {
  const all = member.capabilities === "" ? "" : `${verbs(member.capabilities)} everything`;
  const some = Object.keys(member.projects).length;
  if (some === 0) return all === "" ? "May do nothing" : all;
  const single = `${verbs(Object.values(member.projects).join(""))} ${plural(some, "project")}`;
  return all === "" ? single : `${all}; ${single.toLowerCase()} besides`;
}

/** The same in Fossil's letters: `gio`, `go in 1 project`. */
export function rightsLetters(of: Pick<Member, "capabilities" | "projects">): string {
  const single = Object.values(of.projects);
  const some = single.length === 0 ? "" : `${[...new Set(single)].sort().join(", ")} in ${plural(single.length, "project")}`;
  return [of.capabilities, some].filter(Boolean).join("; ");
}

function verbs(letters: string): string {
  const words = [letters.includes("g") ? "clones" : "", letters.includes("o") ? "reads" : "", letters.includes("i") ? "writes" : ""].filter(Boolean);
  const said = words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : (words[0] ?? "sees");
  return said.charAt(0).toUpperCase() + said.slice(1);
}

/** Who has not heard that a member was unpaired. */
export function unheardWords(mesh: Mesh, gone: Pick<Revoked, "unheard">): string {
  if (gone.unheard.length === 0) return "All members have heard it.";
  return `Not yet heard by ${gone.unheard.map((id) => nameIn(mesh, id)).join(", ")}: it may still have links there.`;
}

/** How far a pairing is, and who began it. */
export function pendingWords(one: Pick<PendingAgent, "state" | "by">): string {
  if (one.state === "ended") return "Not paired";
  if (one.state === "accepted") return "Accepted here, waiting for the other side";
  if (one.state === "meeting") return one.by === "here" ? "Being asked" : "Just came";
  return { offer: "Has the code that is shown here", knock: "Asks without a code", here: "Was asked from here" }[one.by];
}

/** By what computers meet that cannot reach each other. */
export type Meeting = "direct" | "relay" | "public";

export const meetings: { meeting: Meeting; name: string; about: string }[] = [
  { meeting: "direct", name: "Nowhere", about: "Links are made directly: in one network, or where one of the two can be reached from outside." },
  { meeting: "relay", name: "At a relay of yours", about: "It passes on encrypted packets until the two have found a direct way." },
  { meeting: "public", name: "At iroh’s public relays", about: "Works from anywhere. Where this computer is stands in iroh’s public lookup, under its id." },
];

export const meetingOf = (tunnel: Pick<SetTunnel, "public" | "relays">): Meeting => (tunnel.public ? "public" : tunnel.relays.length > 0 ? "relay" : "direct");

/** What a person chose, as the agent is told. */
export const tunnelChoice = (meeting: Meeting, relays: string, lan: boolean): Omit<SetTunnel, "on"> => ({
  lan,
  public: meeting === "public",
  relays: meeting === "relay" ? relays.split(/[\s,]+/).filter(Boolean) : [],
});

/** How it is with the tunnel. */
export function tunnelWords(tunnel: Tunnel): string {
  const flag = tunnel.from === "flag" ? " A flag chose this, and rules again at the next start." : "";
  if (!tunnel.on) return `Off. Computers cannot be paired, and none is reached through a router.${flag}`;
  const met = { direct: "without a relay", relay: `with ${tunnel.relays.length === 1 ? "the relay" : "the relays"} ${tunnel.relays.join(", ")}`, public: "with iroh’s public relays" }[meetingOf(tunnel)];
  const found = tunnel.lan ? " Computers that are trusted find each other on this network." : "";
  return `On, ${met}.${found} Switched off, it ends the links that stand on it.${flag}`;
}
