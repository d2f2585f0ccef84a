import { expect, test } from "vitest";
import { fromHex, parseCode, parseOffer } from "./offer";
import { Claimant } from "./proof";

const bytes = (value: number) => new Uint8Array(32).fill(value);
const hex = (value: number) => value.toString(16).padStart(2, "0").repeat(32);

test("the phone makes the same hashes and digits as the agent", () => {
  // The agent's own test has these.
  const offer = { host: hex(1), secret: fromHex("00112233445566778899aabbccddeeff") };
  const phone = new Claimant(hex(1), offer, bytes(2), bytes(4), "agent");
  expect(phone.claim()).toEqual({
    version: 1,
    commit: "51eb25307215487a4cc735aea898f4be798425977517da6e618e2eb6d65829db",
    proof: "4b61b45409d9289ebb6926c2e4df8316f3a7aececdd319fea3dd8478d063b673",
  });
  const proof = "382196cec045475ecde2d49c685bfd9ef106bb28a13d4cb40047c61cc60142e3";
  expect(phone.digits({ nonce: hex(3), proof })).toBe("975462");
  expect(phone.digits({ nonce: hex(5), proof })).toBe(null);
});

test("an offer is read from the address, and nothing else is one", () => {
  const good = `#pair=${hex(1)}.${"0f".repeat(16)}`;
  expect(parseOffer(good)?.host).toBe(hex(1));
  for (const bad of ["", "#", "#pair=", good.slice(0, -1), `${good}0`, good.replace("pair", "token"), good.replace(".", "/"), good.toUpperCase()]) {
    expect(parseOffer(bad), bad).toBe(null);
  }
});

test("a code is read as people type it", () => {
  const code = parseCode("ABCD-EFGH-2345");
  expect(code && new TextDecoder().decode(code.secret)).toBe("ABCDEFGH2345");
  expect(parseCode(" abcd efgh 2345 ")).toEqual(code);
  for (const bad of ["", "ABCD-EFGH-234", "ABCD-EFGH-23456", "ABCD-EFGH-234O", "ABCD-EFGH-2341", "ABCD-EFGH-234L", "ABCD-EFGH-234U"]) {
    expect(parseCode(bad), bad).toBe(null);
  }
});
