import { expect, test } from "vitest";
import type { Check, Verdict } from "../lib/types";
import { byVerdict, checkupWords } from "./words";

const check = (name: string, verdict: Verdict): Check => ({ name, verdict, message: "", fix: null });

test("what needs a person comes first, and the rest keeps its order", () => {
  const checks = [check("home", "pass"), check("disk", "warn"), check("page", "pass"), check("repository", "fail")];
  expect(byVerdict(checks).map((each) => each.name)).toEqual(["repository", "disk", "home", "page"]);
});

test("the sum names what is wrong, or says that all is right", () => {
  const words = (...verdicts: Verdict[]) => checkupWords({ ok: true, checks: verdicts.map((verdict) => check("x", verdict)) });
  expect(words("pass", "pass")).toBe("2 checks, all right");
  expect(words("pass", "warn")).toBe("1 worth a look");
  expect(words("fail", "warn", "fail")).toBe("2 do not work · 1 worth a look");
  expect(words("fail")).toBe("1 does not work");
});
