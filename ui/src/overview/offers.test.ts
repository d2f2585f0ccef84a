import { expect, test } from "vitest";
import type { Available, Job, Peer, Repository } from "../lib/types";
import { offersOf } from "./offers";

const available = (name: string, more: Partial<Available> = {}): Available => ({
  name,
  project_code: name.repeat(40).slice(0, 40),
  size: 1,
  capabilities: "gio",
  here: false,
  ...more,
});
const peer = (name: string, offered: Available[]) => ({ name, endpoint_id: name.repeat(64).slice(0, 64), available: offered }) as Peer;
const addresses = (peers: Peer[], repositories: Repository[] = [], jobs: Job[] = []) => offersOf(peers, repositories, jobs).map((offer) => offer.address);

test("what is here, comes or may not be read is not offered", () => {
  const studio = peer("s", [available("a"), available("b", { here: true }), available("c", { capabilities: "" }), available("d"), available("e")]);
  const here = [{ project_code: "d".repeat(40) } as Repository];
  const coming = [{ state: "running", remote: { url: "iroh:s/e" } } as Job];
  expect(addresses([studio], here, coming)).toEqual(["iroh:s/a"]);
});

test("names are enough where they are clear", () => {
  expect(addresses([peer("s", [available("a")]), peer("s", [available("b")])])).toEqual([`iroh:${"s".repeat(64)}/a`, `iroh:${"s".repeat(64)}/b`]);
  expect(addresses([peer("x/y", [available("a")])])).toEqual([`iroh:${"x/y".repeat(64).slice(0, 64)}/a`]);
  const twice = [available("a"), available("a", { project_code: "9".repeat(40) })];
  expect(addresses([peer("s", twice)])).toEqual([`iroh:s/${"a".repeat(40)}`, `iroh:s/${"9".repeat(40)}`]);
});
