// What several tests do with phones: a browser of a phone's size, its camera, and the finger's measure.

import assert from "node:assert/strict";
import jsqr from "jsqr";

/** @typedef {import("playwright-core").Page} Page */

/**
 * Opens a phone's browser. What goes wrong in its pages is put into `errors`.
 * @param {import("playwright-core").Browser} browser
 * @param {string[]} errors
 * @param {"light" | "dark"} [scheme]
 */
export async function openPhone(browser, errors, scheme = "light") {
  const context = await browser.newContext({
    viewport: { width: 390, height: 780 },
    isMobile: true,
    hasTouch: true,
    colorScheme: scheme,
    reducedMotion: "reduce",
    userAgent: "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140 Mobile Safari/537.36",
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) errors.push(message.text());
  });
  return page;
}

/** What a camera reads of the code that the page shows. @param {Page} page */
export async function readCode(page) {
  const picture = (await page.locator("img.qr").screenshot()).toString("base64");
  const paper = await page.context().newPage();
  const { data, width, height } = await paper.evaluate(async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("no canvas");
    context.drawImage(image, 0, 0);
    return { data: [...context.getImageData(0, 0, image.width, image.height).data], width: image.width, height: image.height };
  }, picture);
  await paper.close();
  const found = (jsqr.default ?? jsqr)(Uint8ClampedArray.from(data), width, height);
  assert.ok(found, "the code can be read");
  return found.data;
}

/** What a finger has to hit is large enough. @param {Page} page */
export async function largeEnough(page) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("button, a, input")]
      .map((each) => ({ name: each.textContent?.trim() || each.getAttribute("aria-label"), box: each.getBoundingClientRect() }))
      .filter(({ box }) => box.height > 0 && (box.height < 48 || box.width < 48))
      .map(({ name, box }) => `${name} ${box.width}x${box.height}`),
  );
  assert.deepEqual(small, []);
}
