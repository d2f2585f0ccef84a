import { expect, test } from "vitest";
import { countdown, type PendingState, toCompare } from "./pairing";

test("the countdown stops at nothing", () => {
  const now = Date.parse("2026-11-22T10:00:00Z");
  expect(countdown("2026-11-22T10:10:00Z", now)).toBe("10:00");
  expect(countdown("2026-11-22T10:00:05Z", now)).toBe("0:05");
  expect(countdown("2026-11-22T09:00:00Z", now)).toBe("0:00");
});

test("the device that shows digits comes first, one that is refused never", () => {
  const device = (state: PendingState) => ({ state });
  expect(toCompare([device("ended"), device("meeting"), device("comparing")])?.state).toBe("comparing");
  expect(toCompare([device("ended")])).toBe(undefined);
});
