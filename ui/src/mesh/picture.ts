// Where the machines of the mesh stand in the picture: this one in the middle, the others on an ellipse around it.
import type { Peer } from "../lib/types";

/** More would overlap; the rest is counted. */
export const max_shown = 10;

export const width = 520;
export const height = 200;
const middle = { x: width / 2, y: height / 2 - 2 };
const radius = { x: 190, y: 62 };
/** Strokes end clear of the dots. */
const gap = 16;

export interface Spot {
  peer: Peer;
  x: number;
  y: number;
  /** The stroke to the middle, or `null` where no message comes. */
  stroke: { x1: number; y1: number; x2: number; y2: number } | null;
  /** How the stroke is drawn: a link of its own, or through others. */
  through: boolean;
}

/** Places the peers, those that are connected first. */
export function spots(peers: Peer[]): Spot[] {
  const ordered = [...peers].sort((a, b) => Number(b.state.kind === "connected") - Number(a.state.kind === "connected")).slice(0, max_shown);
  return ordered.map((peer, i) => {
    const angle = (2 * Math.PI * i) / ordered.length - (ordered.length === 2 ? 0 : Math.PI / 2) + (ordered.length === 1 ? Math.PI / 2 : 0);
    const x = middle.x + radius.x * Math.cos(angle);
    const y = middle.y + radius.y * Math.sin(angle);
    return { peer, x, y, stroke: peer.state.kind === "connected" ? strokeTo(x, y) : null, through: peer.link === "via" };
  });
}

function strokeTo(x: number, y: number): Spot["stroke"] {
  const length = Math.hypot(x - middle.x, y - middle.y);
  const ux = ((x - middle.x) / length) * gap;
  const uy = ((y - middle.y) / length) * gap;
  return { x1: middle.x + ux, y1: middle.y + uy, x2: x - ux, y2: y - uy };
}

export const centre = middle;
