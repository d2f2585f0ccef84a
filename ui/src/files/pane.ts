// The file tree's width, the same in every repository.
import { PaneWidth } from "../parts/pane.svelte";

export const treePane = new PaneWidth(140, (whole) => Math.min(260, whole * 0.3));
