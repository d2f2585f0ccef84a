// The thread list's width.
import { PaneWidth } from "../parts/pane.svelte";

export const listPane = new PaneWidth(200, (whole) => Math.min(320, whole * 0.38));
