// How a person likes diffs shown; kept in this browser.
export type DiffView = "unified" | "split";

const key = "edgesync-diff";
let kind = $state<DiffView>(localStorage.getItem(key) === "split" ? "split" : "unified");

export const diffView = {
  get kind(): DiffView {
    return kind;
  },
  set kind(value: DiffView) {
    kind = value;
    localStorage.setItem(key, value);
  },
};
