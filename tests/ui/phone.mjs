// What several tests do with phones: a browser of a phone's size, and the finger's measure.

import assert from "node:assert/strict";

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
