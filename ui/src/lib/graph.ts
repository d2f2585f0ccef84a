// The timeline graph's geometry and colours. Each row draws its dot and the strokes down to the next row by itself.
import type { Line } from "./types";

/** As many branch colours as `tokens.css` has. */
const colours = 8;
const trunks = new Set(["trunk", "main", "master"]);

/** Columns beyond this many share the width that is there: in a list of usual width, and in a narrow one. */
const roomy_columns = 8;
const narrow_columns = 4;
const column_px = 14;
const margin_px = 12;

export interface Graph {
  /** Width of the whole graph in pixels. */
  width: number;
  /** The middle of a column. */
  x(lane: number): number;
}

/** Lays out `lanes` columns. */
export function graphOf(lanes: number, narrow = false): Graph {
  const roomy = narrow ? narrow_columns : roomy_columns;
  const step = lanes <= roomy ? column_px : Math.max(3, (roomy * column_px) / lanes);
  return {
    width: Math.ceil(2 * margin_px + Math.max(0, lanes - 1) * step),
    x: (lane) => margin_px + lane * step,
  };
}

/** The number of a branch's colour: the trunk's is 0, any other keeps the same one for ever. */
export function laneColour(branch: string): number {
  if (trunks.has(branch)) return 0;
  let sum = 0;
  for (const char of branch) sum = (sum * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return 1 + (sum % (colours - 1));
}

/** The stroke from one row's middle (`0`) to the next one's (`height`). */
export function strokePath(line: Line, graph: Graph, height: number): string {
  const from = graph.x(line.from);
  const to = graph.x(line.to);
  if (from === to) return `M${from} 0V${height}`;
  return `M${from} 0C${from} ${height * 0.6} ${to} ${height * 0.4} ${to} ${height}`;
}
