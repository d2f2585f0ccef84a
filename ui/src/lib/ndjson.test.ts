import { expect, test } from "vitest";
import { lines } from "./ndjson";

function stream(...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function all(...chunks: Uint8Array[]): Promise<string[]> {
  const out: string[] = [];
  for await (const line of lines(stream(...chunks))) out.push(line);
  return out;
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("lines are cut where the line feeds are, not where the chunks are", async () => {
  expect(await all(bytes('{"a"'), bytes(':1}\n{"b":2}\n{"c"'), bytes(":3}\n"))).toEqual(['{"a":1}', '{"b":2}', '{"c":3}']);
});

test("a character split over two chunks stays whole", async () => {
  const text = bytes("gr\u00fcn\n");
  expect(await all(text.slice(0, 3), text.slice(3))).toEqual(["gr\u00fcn"]);
});

test("empty lines are skipped and a last line needs no line feed", async () => {
  expect(await all(bytes("one\n\n\ntwo"))).toEqual(["one", "two"]);
});
