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

/** false, or the reason why no browser test can run here. */
export const noBrowser = existsSync(CHROMIUM) ? false : `there is no browser at ${CHROMIUM} (set CHROMIUM)`;

export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: ARGS });
}

/**
 * Opens a page that fails the test on any script error or refused content. Answers that a test
 * provokes (401, 422, a dead server) are logged by the browser as failed loads: those pass.
 */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
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
