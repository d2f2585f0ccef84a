// Codes of offers, as cameras see them: the page shows each at its own size, and every one is read at once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startAgent } from "./agent.mjs";
import { inspect, openBrowser, openPage, openPaper, readPicture, visit } from "./browser.mjs";

/** @type {import("./agent.mjs").Agent} */
let agent;
/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;

const timeout = 120_000;

/** So many of each kind; every one has another secret. */
const OFFERS = 50;

/** Half as large as on the screen, blurred and held askew. */
const coarse = { scale: 0.6, blur: 0.6, turn: 6 };

before(async () => {
  browser = await openBrowser();
  agent = await startAgent(["--notify", "--iroh", "--no-relay"]);
  ({ page } = await openPage(browser, agent));
});

after(async () => {
  await browser?.close();
  await agent?.remove();
});

/** What a terminal shows of a code's characters: light where they are drawn, dark elsewhere. @param {string} text */
function onTerminal(text) {
  const px = 4;
  const lines = text.split("\n");
  const wide = Math.max(...lines.map((line) => line.length)) * px;
  const high = lines.length * 2 * px;
  const light = lines.flatMap((line, row) =>
    [...line].flatMap((character, column) => {
      const at = (/** @type {number} */ half) => `M${column * px} ${(row * 2 + half) * px}h${px}v${px}h-${px}z`;
      return ["█▀".includes(character) ? at(0) : "", "█▄".includes(character) ? at(1) : ""];
    }),
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${wide}" height="${high}" shape-rendering="crispEdges"><rect width="100%" height="100%"/><path fill="#fff" d="${light.join("")}"/></svg>`;
  return `data:image/svg+xml;utf8,${encodeURIComponent(svg)}`;
}

for (const [what, route, wish] of /** @type {const} */ ([
  ["phones", "/devices/offer", { listen: "127.0.0.1" }],
  ["agents", "/mesh/pairing/offer", {}],
])) {
  test(`codes for ${what} are read straight, by a coarse camera, and from a terminal`, { timeout }, async () => {
    const paper = await openPaper(page);
    const missed = { straight: 0, coarse: 0, terminal: 0 };
    let longest = 0;
    for (let number = 0; number < OFFERS; number += 1) {
      const made = await agent.call("POST", route, wish);
      longest = Math.max(longest, made.url.length);
      const picture = `data:image/svg+xml;utf8,${encodeURIComponent(made.svg)}`;
      if ((await readPicture(paper, picture)) !== made.url) missed.straight += 1;
      if ((await readPicture(paper, picture, coarse)) !== made.url) missed.coarse += 1;
      if ((await readPicture(paper, onTerminal(made.text))) !== made.url) missed.terminal += 1;
    }
    await paper.close();
    assert.deepEqual(missed, { straight: 0, coarse: 0, terminal: 0 }, `of ${OFFERS} codes for up to ${longest} characters`);
  });
}

test("the page shows a code at its own size", { timeout }, async () => {
  await visit(page, agent, "/mesh/pair");
  await page.getByRole("button", { name: "Show the code" }).click();
  const code = page.locator("img.qr");
  await code.waitFor();
  const sizes = await code.evaluate((image) => {
    const style = getComputedStyle(image);
    const room = Number.parseFloat(style.paddingLeft) + Number.parseFloat(style.paddingRight);
    return image instanceof HTMLImageElement ? [image.getBoundingClientRect().width - room, image.naturalWidth] : [];
  });
  assert.equal(sizes[0], sizes[1]);
  assert.ok((sizes[1] ?? 0) >= 240, `${sizes}`);
  await inspect(page, "code");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 720, height: 680 });
  await inspect(page, "code-720-dark");
  await page.setViewportSize({ width: 390, height: 900 });
  await inspect(page, "code-phone-dark");
});
