// The browser, and what every screen is held to: nothing scrolls sideways, no text is cut, no accessibility rule is broken.

import assert from "node:assert/strict";
import { execSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));
const pictures = path.join(root, "test-results", "ui");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("./agent.mjs").Agent} Agent */

/** Starts the system's Chromium. */
export function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? execSync("command -v chromium || command -v chromium-browser", { encoding: "utf8" }).trim(),
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}

/**
 * Opens the agent's page as the tray does, and fails the test on any error of the page.
 * @param {import("playwright-core").Browser} browser
 * @param {Agent} agent
 * @param {{ scheme?: "light" | "dark", width?: number, height?: number }} [options]
 */
export async function openPage(browser, agent, options = {}) {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 900, height: options.height ?? 680 },
    colorScheme: options.scheme ?? "light",
    reducedMotion: "reduce",
    permissions: ["clipboard-read", "clipboard-write"],
    acceptDownloads: true,
  });
  const page = await context.newPage();
  /** @type {string[]} */
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    if (/Content.Security.Policy/i.test(message.text())) errors.push(message.text());
  });
  /** @type {string[]} */
  const missed = [];
  page.on("response", (response) => {
    if (response.status() === 404) missed.push(response.url());
  });
  await page.goto(`${agent.api}/#token=${agent.token}`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  return { page, errors, missed };
}

/**
 * Goes to a place of the page by its address, as a deep link does.
 * @param {Page} page
 * @param {Agent} agent
 * @param {string} place
 */
export async function visit(page, agent, place) {
  await page.goto(agent.api + place);
}

/**
 * Takes a picture and holds the screen to the rules.
 * @param {Page} page
 * @param {string} name
 */
export async function inspect(page, name) {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: path.join(pictures, `${name}.png`) });
  assert.deepEqual(await page.evaluate(sideways), [], `${name}: scrolls sideways`);
  assert.deepEqual(await page.evaluate(cutText), [], `${name}: text is cut`);
  await page.evaluate(axe);
  const broken = await page.evaluate(async () => {
    // @ts-expect-error: brought by the line above
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map((/** @type {any} */ rule) => `${rule.id}: ${rule.nodes.map((/** @type {any} */ node) => `${node.html} ${node.failureSummary}`).join("\n")}`);
  });
  assert.deepEqual(broken, [], `${name}: accessibility`);
}

/** How a camera looks: how large what is shown comes to be, how much it is blurred, in pixels of what it sees, and by how many degrees it is turned. */
const straight = { scale: 1, blur: 0, turn: 0 };

/**
 * What a camera reads of a picture with a code; nothing when it cannot.
 * @param {Page} paper a page without content, which {@link openPaper} opens
 * @param {string} picture its address
 * @param {{ scale: number, blur: number, turn: number }} [camera]
 * @returns {Promise<string | null>}
 */
export function readPicture(paper, picture, camera = straight) {
  return paper.evaluate(async ({ picture, scale, blur, turn }) => {
    const image = new Image();
    image.src = picture;
    await image.decode();
    // The table around it.
    const side = Math.ceil(Math.max(image.width, image.height) * scale * (turn ? 1.3 : 1));
    const canvas = new OffscreenCanvas(side, side);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("no canvas");
    context.fillStyle = "#888";
    context.fillRect(0, 0, side, side);
    context.translate(side / 2, side / 2);
    context.rotate((turn * Math.PI) / 180);
    context.filter = blur ? `blur(${blur}px)` : "none";
    context.imageSmoothingQuality = "high";
    const [wide, high] = [image.width * scale, image.height * scale];
    const [left, top] = turn ? [-wide / 2, -high / 2] : [Math.round(-wide / 2), Math.round(-high / 2)];
    context.drawImage(image, left, top, wide, high);
    // @ts-expect-error: brought by `openPaper`
    return globalThis.jsQR(context.getImageData(0, 0, side, side).data, side, side)?.data ?? null;
  }, { picture, ...camera });
}

/** Opens a page for {@link readPicture}. @param {Page} page */
export async function openPaper(page) {
  const paper = await page.context().newPage();
  await paper.addScriptTag({ path: createRequire(import.meta.url).resolve("jsqr") });
  return paper;
}

/** What a camera reads of the code that the page shows. @param {Page} page */
export async function readCode(page) {
  const picture = (await page.locator("img.qr").screenshot()).toString("base64");
  const paper = await openPaper(page);
  const read = await readPicture(paper, `data:image/png;base64,${picture}`);
  await paper.close();
  assert.ok(read, "the code can be read");
  return read;
}

/** Names what is wider than its place; only code may scroll sideways, in a box of its own. */
function sideways() {
  const boxes = [document.scrollingElement, ...document.querySelectorAll("main *, nav, nav *")];
  return boxes
    .filter((box) => box && box.scrollWidth > box.clientWidth + 1 && (box === document.scrollingElement || ["auto", "scroll"].includes(getComputedStyle(box).overflowX)))
    .filter((box) => !box?.matches(".code"))
    .map((box) => `${box?.tagName}.${box?.className} ${box?.scrollWidth} > ${box?.clientWidth}`);
}

/** Names texts that reach out of what is seen of their box, unless they end in an ellipsis. */
function cutText() {
  /** @type {string[]} */
  const cut = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!parent || !node.textContent?.trim() || !parent.checkVisibility({ visibilityProperty: true })) continue;
    if (parent.closest(".hidden-text, .code")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const text = range.getBoundingClientRect();
    for (let box = /** @type {HTMLElement | null} */ (parent); box; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (style.textOverflow === "ellipsis") break;
      const seen = box.getBoundingClientRect();
      const hidden = style.overflowX !== "visible" || box === document.body;
      if (hidden && (text.left < seen.left - 1 || text.right > seen.right + 1)) {
        cut.push(`“${node.textContent.trim().slice(0, 60)}” in ${box.tagName}.${box.className}`);
        break;
      }
      const low = ["hidden", "clip"].includes(style.overflowY) && box.contains(parent) && !box.matches("body, #app");
      if (low && box === parent && text.height > seen.height + 2) {
        cut.push(`“${node.textContent.trim().slice(0, 60)}” is higher than ${box.tagName}.${box.className}`);
        break;
      }
      if (["auto", "scroll"].includes(style.overflowX)) break;
    }
  }
  return cut;
}
