// `npm start`: installs what is missing, builds, and starts the tray app; without a display, the headless agent, whose page
// it names. What follows `--` goes to the program: npm start -- -R project.fossil
//
// EDGESYNC_PROFILE=dev builds without optimisation, which is sooner done and slower to run.

import { existsSync } from "node:fs";
import path from "node:path";
import { announce, buildPage, environment, prepare, run, step, takeTargetDir, targetDir } from "./steps.mjs";

const profile = process.env.EDGESYNC_PROFILE ?? "release";
// The program's own variables begin like this one, and it looks whether any is set.
delete environment.EDGESYNC_PROFILE;
const display = Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
const built = path.join(targetDir, profile === "dev" ? "debug" : profile);
const [program, packages, words] = display
  ? ["edgesync-desktop", ["-p", "edgesync", "-p", "edgesync-desktop"], []]
  : ["edgesync", ["-p", "edgesync"], ["sync", "start"]];

await prepare(display ? "build" : "headless");
await buildPage();

if (!existsSync(path.join(built, program))) {
  announce("the first build compiles everything EdgeSync is made of: 10 to 20 minutes on two cores, later ones seconds");
}
const giveBack = await takeTargetDir();
await step("build", "cargo", ["build", "--locked", "--profile", profile, ...packages]);
giveBack();

announce(
  display
    ? "EdgeSync is in the tray; Quit in its menu, or Ctrl-C here, ends it"
    : "no display, so this is the headless agent, unless one runs already; open its page in a browser, Ctrl-C ends what runs here",
);
// File names on the command line are meant from where `npm start` was typed.
const folder = process.env.INIT_CWD ?? process.cwd();
process.exit(await run(path.join(built, program), [...words, ...process.argv.slice(2)], folder));
