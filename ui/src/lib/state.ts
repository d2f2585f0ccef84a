// The words of a state, the same everywhere it is shown, and the list of repositories as it changes.
import { age, clockDay, count, hostOf, lasting, until } from "./format";
import type { Phase, Repository, State } from "./types";

/** The shape and colour a state is drawn with. */
export type Look = "ok" | "working" | "needs" | "error" | "quiet";

export interface StateWords {
  look: Look;
  words: string;
  /** Age or what happens next; empty where there is nothing to say. */
  detail: string;
  /** The time behind `detail`, for its title. */
  at: string | null;
}

const phases: Record<Phase, string> = {
  clone: "Cloning",
  pull: "Receiving",
  push: "Sending",
  sync: "Syncing",
  rebuild: "Rebuilding",
};

/** Says a state in words. `remote` names whom an exchange is with. */
export function stateWords(state: State, now: number, remote: Repository["remote"] = null): StateWords {
  switch (state.kind) {
    case "local":
      return { look: "quiet", words: "Local only", detail: "", at: null };
    case "never":
      return { look: "needs", words: "Not synced yet", detail: "", at: null };
    case "up_to_date":
      return { look: "ok", words: "Up to date", detail: age(state.at, now), at: state.at };
    case "pending":
      return {
        look: "working",
        words: "Changes waiting",
        detail: state.at ? `last synced ${age(state.at, now)}` : "",
        at: state.at,
      };
    case "kept":
      return { look: "needs", words: "Changes stay here", detail: state.at ? `last synced ${age(state.at, now)}` : "", at: state.at };
    case "paused":
      return {
        look: "quiet",
        words: state.until ? `Paused until ${clockDay(state.until, now)}` : "Paused",
        detail: state.at ? `last synced ${age(state.at, now)}` : "",
        at: state.at,
      };
    case "syncing":
      return { look: "working", words: phases[state.phase] + progress(state.done, state.total), detail: "", at: null };
    case "error":
      return {
        look: "error",
        words: remote ? `Can't sync with ${hostOf(remote.url)}` : "Can't sync",
        detail: state.retry_at ? `retrying ${until(state.retry_at, now)}` : lasting(state.since, now),
        at: state.retry_at ?? state.since,
      };
    case "missing":
      return { look: "error", words: "File can't be opened", detail: "", at: null };
  }
}

/** ` 340 of 1,200`, ` 340`, or nothing while nothing is counted. */
export function progress(done: number, total: number | null): string {
  if (total !== null && total > 0) return ` ${count(done)} of ${count(total)}`;
  return done > 0 ? ` ${count(done)}` : "";
}

/** What most likely helps against an exchange's failure. */
export type Fix = "login" | "address" | "retry";

/** Picks the one likely fix for a failed exchange from its code. */
export function fixOf(code: string): Fix {
  if (code === "remote_login") return "login";
  if (code === "remote_address") return "address";
  return "retry";
}

/** The repositories that are a person's own. The one with the questions and answers is the agent's, and told of only in trouble. */
export const ownOf = (list: Repository[]): Repository[] => list.filter((each) => !each.notify || each.state.kind === "error" || each.state.kind === "missing");

/** The list with `changed` in it, in the agent's order: by name. */
export function withRepository(list: Repository[], changed: Repository): Repository[] {
  const others = list.filter((each) => each.name !== changed.name);
  const after = others.findIndex((each) => each.name > changed.name);
  return others.toSpliced(after < 0 ? others.length : after, 0, changed);
}
