import { expect, test } from "vitest";
import { Order } from "./order";

test("an answer is overtaken by what was told of its subject after it was asked for", () => {
  const order = new Order();
  const overtaken = order.begin();
  expect(overtaken("mesh")).toBe(false);
  order.heard("mesh");
  expect(overtaken("mesh")).toBe(true);
});

test("what was told before, or of another subject, overtakes nothing", () => {
  const order = new Order();
  order.heard("mesh");
  const overtaken = order.begin();
  order.heard("notify");
  expect(overtaken("mesh")).toBe(false);
  expect(order.begin()("notify")).toBe(false);
});
