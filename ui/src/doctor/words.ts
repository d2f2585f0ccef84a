// What the doctor found, in words and in order.
import { plural } from "../lib/format";
import type { Check, Checkup, Verdict } from "../lib/types";

const rank: Record<Verdict, number> = { fail: 0, warn: 1, pass: 2 };

/** What needs a person first; within one verdict in the agent's order. */
export function byVerdict(checks: Check[]): Check[] {
  return [...checks].sort((a, b) => rank[a.verdict] - rank[b.verdict]);
}

/** Sums it up: "2 do not work · 1 worth a look", or that all is right. */
export function checkupWords({ checks }: Checkup): string {
  const count = (verdict: Verdict) => checks.filter((check) => check.verdict === verdict).length;
  const [failed, warned] = [count("fail"), count("warn")];
  const parts = [
    ...(failed === 0 ? [] : [failed === 1 ? "1 does not work" : `${failed} do not work`]),
    ...(warned === 0 ? [] : [`${warned} worth a look`]),
  ];
  return parts.length > 0 ? parts.join(" · ") : `${plural(checks.length, "check")}, all right`;
}
