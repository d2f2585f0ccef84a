// What the command palette offers: pure, from what the agent holds and where the page is.
import { to } from "./route";
import type { Repository } from "./types";

export interface Command {
  id: string;
  /** What it does, in words that are searched. */
  name: string;
  /** The repository it is about; empty for the whole. */
  about: string;
  does: { go: string } | { sync: string | null } | { pause: string | null; minutes: number | null } | { resume: string | null } | { copy: string } | "quit";
}

/** All commands, those of the repository in sight first; quitting only in the app, which has no terminal to end it from. */
export function commandsFor(repositories: Repository[], current: string | null, has: { app?: boolean | undefined; mesh?: boolean; inbox?: boolean; devices?: boolean; paused?: boolean } = {}): Command[] {
  const rank = (each: Repository) => (each.name === current ? 0 : 1);
  const ordered = [...repositories].sort((a, b) => rank(a) - rank(b));
  const syncing = repositories.some((each) => each.remote !== null);
  return [
    ...ordered.filter((each) => each.name === current).flatMap((each) => commandsOf(each, has.paused)),
    { id: "overview", name: "Overview", about: "", does: { go: to.overview() } },
    ...ordered.filter((each) => each.name !== current).flatMap((each) => commandsOf(each, has.paused)),
    ...(has.inbox ? [{ id: "inbox", name: "Inbox", about: "", does: { go: to.inbox() } }] : []),
    ...(has.inbox ? [{ id: "settings", name: "Settings", about: "", does: { go: to.choices() } }] : []),
    ...(has.mesh ? [{ id: "mesh", name: "Mesh", about: "", does: { go: to.mesh() } }] : []),
    ...(has.mesh ? [{ id: "pair-computer", name: "Pair a computer", about: "", does: { go: to.pairComputer() } }] : []),
    ...(has.devices ? [{ id: "devices", name: "Devices", about: "", does: { go: to.devices() } }] : []),
    ...(has.devices ? [{ id: "pair", name: "Pair a phone", about: "", does: { go: to.pair() } }] : []),
    { id: "log", name: "Log", about: "", does: { go: to.log() } },
    { id: "doctor", name: "Doctor", about: "", does: { go: to.doctor() } },
    ...(syncing ? [{ id: "sync", name: "Sync all now", about: "", does: { sync: null } }] : []),
    ...(has.paused
      ? [{ id: "resume", name: "Resume", about: "", does: { resume: null } }]
      : [
          { id: "pause-30", name: "Pause for 30 minutes", about: "", does: { pause: null, minutes: 30 } },
          { id: "pause", name: "Pause until resumed", about: "", does: { pause: null, minutes: null } },
        ]),
    { id: "add", name: "Add an existing repository", about: "", does: { go: to.add() } },
    { id: "create", name: "Create a repository", about: "", does: { go: to.add("create") } },
    { id: "clone", name: "Clone from a URL", about: "", does: { go: to.add("clone") } },
    ...(has.app ? [{ id: "quit", name: "Quit EdgeSync", about: "", does: "quit" as const }] : []),
  ];
}

/** Those of one repository; while the whole agent is `paused`, its own pause is no matter. */
function commandsOf(repository: Repository, paused = false): Command[] {
  const { name } = repository;
  const of = (verb: string, does: Command["does"]): Command => ({ id: `${verb} ${name}`, name: verb, about: name, does });
  return [
    of("Timeline", { go: to.timeline(name) }),
    of("Files", { go: to.files(name) }),
    of("Settings", { go: to.settings(name) }),
    ...(repository.remote ? [of("Sync now", { sync: name })] : []),
    ...(paused ? [] : repository.state.kind === "paused" ? [of("Resume", { resume: name })] : [of("Pause", { pause: name, minutes: null })]),
    ...(repository.clone_url ? [of("Copy clone address", { copy: repository.clone_url })] : []),
  ];
}

/** The commands that have every word of `text`; with a repository in sight, also the jump to a check-in by its hash. */
export function matchingCommands(commands: Command[], text: string, current: string | null): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = commands.filter((command) => {
    const said = `${command.about} ${command.name}`.toLowerCase();
    return words.every((word) => said.includes(word));
  });
  const version = /^[0-9a-f]{4,64}$/i.test(text.trim()) ? text.trim().toLowerCase() : null;
  if (current === null || version === null) return found;
  return [{ id: "check-in", name: `Check-in ${version.slice(0, 10)}`, about: current, does: { go: to.checkIn(current, version) } }, ...found];
}
