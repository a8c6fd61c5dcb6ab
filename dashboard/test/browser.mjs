/** What the browser tests share: the browser, a signed-in page, and where the bundle lies. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
export const DASHBOARD = process.env.DASHBOARD ?? join(here, "..", "..", "build", "dashboard");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--no-first-run"];

/* A busy machine takes its time; nothing is asserted of how long. */
export const PATIENCE_MS = 90_000;
export const TEST_MS = 600_000;

/** Where the element is once it stands still: what is above it comes when it comes. */
export async function settledBox(locator) {
  let box = null;
  for (let same = 0; same < 5;) {
    const now = await locator.boundingBox();
    same = now !== null && now.width > 0 && JSON.stringify(now) === JSON.stringify(box) ? same + 1 : 0;
    box = now;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return box;
}

/** false, or the reason why no browser test can run here. */
export const noBrowser = existsSync(CHROMIUM) ? false : `there is no browser at ${CHROMIUM} (set CHROMIUM)`;

export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGS, timeout: 180_000 });
}

/**
 * Opens a page that fails the test on any script error or refused content. Answers that a test
 * provokes (401, 422, a dead server) are logged by the browser as failed loads: those pass.
 */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error.stack ?? error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) faults.push(message.text());
  });
  page.on("request", (request) => {
    const host = new URL(request.url()).hostname;
    if (host !== "127.0.0.1" && host !== "localhost" && options.host !== host) faults.push(`asked ${request.url()}`);
  });
  return { page, faults, close: () => context.close() };
}
