// `npm test`: installs what is missing and runs every check, the cheap ones first. Stops at the first step that fails.
//
// Cargo is always given the whole workspace with all its targets, so that lint, build and tests share one set of compiled
// crates.

import { availableParallelism } from "node:os";
import { announce, buildPage, prepare, step, takeTargetDir, targetDir } from "./steps.mjs";

const everything = ["--workspace", "--all-targets", "--locked"];

await prepare("test");
const giveBack = await takeTargetDir();
await step("format", "cargo", ["fmt", "--all", "--check"]);
await step("house rules", "cargo", ["test", "--quiet", "--locked", "--lib", "-p", "edgesync-house"]);
await step("page: types", "npm", ["run", "--silent", "ui:check"]);
await step("page: unit tests", "npm", ["run", "--silent", "ui:unit"]);
await buildPage();

announce(`building into ${targetDir}: the first time takes 10 to 30 minutes, later ones a few`);
await step("lint", "cargo", ["clippy", ...everything, "--", "-D", "warnings"]);
await step("build", "cargo", ["build", ...everything]);
await step("page: browser tests", "npm", ["run", "--silent", "ui:browser"]);
// Most tests wait for a network or another program half of the time: one more than there are processors.
const threads = String(availableParallelism() + 1);
await step("tests", "cargo", ["nextest", "run", ...everything, "--test-threads", threads]);
giveBack();
announce("all checks passed");
