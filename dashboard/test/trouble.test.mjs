/** What goes wrong, and size: a bad token, a refusal, an outage, 10,000 trials. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { DASHBOARD, PATIENCE_MS, TEST_MS, launch, newPage, noBrowser, settledBox } from "./browser.mjs";
import { FakeServer, TOKEN } from "./fake-server.mjs";

let browser = null;
let server = null;
let live = null;

before(async () => {
  server = new FakeServer({ dashboard: DASHBOARD });
  live = server.add({ name: "live", trials: 60, done: 31 });
  server.add({ name: "over", trials: 20, done: 20, state: "succeeded", reason: "trials_done" });
  server.add({ name: "big", trials: 10_000, done: 10_000, state: "succeeded", reason: "trials_done", epochs: 12 });
  await server.listen();
  if (!noBrowser) browser = await launch();
});

after(async () => {
  await browser?.close();
  await server.close();
});

async function open(hash, options) {
  const visit = await newPage(browser, options);
  await visit.page.goto(`${server.url}/#token=${TOKEN}`);
  await visit.page.getByRole("heading", { name: "Studies" }).waitFor();
  if (hash) await visit.page.evaluate((h) => { location.hash = h; }, hash);
  return visit;
}

test("a wrong token is refused in words, a right one signs in", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const { page, faults, close } = await newPage(browser);
  await page.goto(server.url);
  await page.getByLabel("Access token").fill("not-the-token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("That token is not valid here").waitFor();
  await page.getByLabel("Access token").fill(TOKEN);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Studies" }).waitFor();
  assert.deepEqual(faults, []);
  await close();
});

test("a token that stops being valid leads back to signing in", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const { page, faults, close } = await open("#/default/live");
  await page.getByRole("heading", { level: 1, name: "live" }).waitFor();
  server.token = "another";
  try {
    live.touch();
    await page.getByText("no longer accepts this token").waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.getItem("assay.token")), null);
  } finally {
    server.token = TOKEN;
  }
  assert.deepEqual(faults, []);
  await close();
});

test("a refused change shows each fault with its place", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const { page, faults, close } = await open("#/default/live");
  await page.getByRole("button", { name: "Limits…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Trials", { exact: false }).first().fill("1");
  await dialog.getByRole("button", { name: "Save" }).click();
  const alert = dialog.getByRole("alert");
  await alert.getByText("/limits/trials").waitFor();
  assert.match(await alert.textContent(), /fewer than the trials already made.*found 1.*allowed: a whole number from/);
  assert.equal(await dialog.locator("input[name=trials]").getAttribute("aria-invalid"), "true");
  await dialog.locator("input[name=trials]").fill("80");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByTestId("progress").getByText("of 80").waitFor();

  await page.evaluate(() => { location.hash = "#/default"; });
  await page.getByRole("button", { name: "New study" }).click();
  await page.getByRole("button", { name: "Check" }).click();
  assert.match(await page.getByRole("alert").textContent(), /\/parameters\/0\/min \(line 4\).*\/objective\/goal \(line 2\)/);
  assert.deepEqual(faults, []);
  await close();
});

test("cancelling asks first", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const victim = server.add({ name: "victim", trials: 60, done: 8 });
  const { page, faults, close } = await open("#/default/victim");
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "Keep it" }).click();
  assert.equal(victim.state, "running");
  await page.getByRole("button", { name: "Cancel…" }).click();
  await page.getByRole("button", { name: "Cancel the study" }).click();
  await page.locator(".study-head .badge", { hasText: "cancelled" }).waitFor();
  assert.equal(victim.state, "cancelled");
  assert.equal(await page.getByRole("button", { name: "Pause" }).count(), 0);
  assert.deepEqual(faults, []);
  await close();
});

test("a lost connection is said, retried, and healed without a reload", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const { page, faults, close } = await open("#/default/live");
  await page.getByRole("heading", { level: 1, name: "live" }).waitFor();
  const port = server.port;
  await server.close();
  await page.getByText("Connection lost.").waitFor();
  await page.getByRole("heading", { level: 1, name: "live" }).waitFor();

  const next = new FakeServer({ dashboard: DASHBOARD });
  next.studies = server.studies;
  await next.listen(port);
  server = next;
  await page.getByText("Connection lost.").waitFor({ state: "detached" });
  live.limits.trials = 77;
  live.touch();
  await page.getByTestId("progress").getByText("of 77").waitFor();
  assert.deepEqual(faults, []);
  await close();
});

test("changes arrive by themselves, over one held request", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const { page, faults, close } = await open("#/default/live");
  await page.getByTestId("progress").waitFor();
  const before = Number((await page.getByTestId("progress").textContent()).replace(/of.*/, ""));
  const timer = setInterval(() => live.tick(), 200);
  try {
    await page.waitForFunction((n) => Number(document.querySelector("[data-testid=progress]").textContent.replace(/of.*/, "")) > n, before);
  } finally {
    clearInterval(timer);
  }
  /* It has heard of the last change when it waits for the next. */
  const patience = Date.now() + PATIENCE_MS;
  while (live.waiters.size === 0 && Date.now() < patience) await page.waitForTimeout(50);
  server.requests.length = 0;
  await page.waitForTimeout(2_000);
  const held = server.requests.filter((line) => line.includes("wait="));
  assert.ok(held.length <= 1, `a quiet study is not asked about again: ${held.join(" ")}`);
  assert.deepEqual(faults, []);
  await close();
});

test("10,000 trials: quick to open, paged by the server, still quick to use", { skip: noBrowser, timeout: TEST_MS }, async (t) => {
  const { page, faults, close } = await open();
  server.requests.length = 0;
  const began = Date.now();
  await page.evaluate(() => { location.hash = "#/default/big"; });
  await page.locator(".trial-table tbody tr").first().waitFor();
  const table = Date.now() - began;
  await page.getByRole("img", { name: /10.000 trials, best so far/ }).waitFor();
  await page.getByRole("img", { name: /Learning curves of .* for 10.000 trials/ }).waitFor();
  const charts = Date.now() - began;
  t.diagnostic(`table after ${table} ms, both charts after ${charts} ms`);
  assert.equal(await page.locator(".trial-table tbody tr").count(), 50);
  assert.equal(await page.locator(".trial-table tbody tr").first().getAttribute("data-trial"), "10000");
  await page.getByRole("navigation", { name: "Pages of trials" }).getByRole("button", { name: "Next" }).click();
  await page.locator(".trial-table tr[data-trial='9950']").waitFor();

  const over = page.locator(".chart .u-over").nth(1);
  await over.scrollIntoViewIfNeeded();
  const chart = await settledBox(over);
  const longest = page.evaluate(() => new Promise((resolve) => {
    let worst = 0;
    let last = performance.now();
    const end = last + 1_500;
    const frame = (now) => {
      worst = Math.max(worst, now - last);
      last = now;
      if (now < end) requestAnimationFrame(frame);
      else resolve(worst);
    };
    requestAnimationFrame(frame);
  }));
  for (let i = 0; i < 20; i++) await page.mouse.move(chart.x + chart.width * (0.6 - i / 60), chart.y + chart.height * 0.4);
  await page.locator(".note strong", { hasText: /^Trial \d+/ }).waitFor();
  t.diagnostic(`longest frame under the pointer ${Math.round(await longest)} ms, ${server.requests.length} requests in all`);

  const lists = server.requests.filter((line) => line.includes("page_size=1000"));
  await page.waitForTimeout(2_500);
  assert.equal(server.requests.filter((line) => line.includes("page_size=1000")).length, lists.length, "settled pages are not read again");
  assert.deepEqual(faults, []);
  await close();
});

test("the table comes as CSV, whole and as filtered", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const study = server.studies.get("default/over");
  const { page, faults, close } = await open("#/default/over");
  const save = async () => {
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download CSV" }).click()]);
    assert.equal(file.suggestedFilename(), "over-trials.csv");
    return (await readFile(await file.path(), "utf8")).trimEnd().split("\r\n");
  };
  assert.equal((await save()).length, 1 + study.rows.length);
  await page.getByRole("button", { name: /^stopped early/ }).click();
  assert.equal((await save()).length, 1 + study.rows.filter((r) => r.state === "stopped").length);
  assert.deepEqual(faults, []);
  await close();
});

test("a phone sees everything without scrolling sideways", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const { page, faults, close } = await open(null, { viewport: { width: 360, height: 740 }, hasTouch: true });
  for (const hash of ["#/default", "#/default/over", "#/default/over/3"]) {
    await page.evaluate((h) => { location.hash = h; }, hash);
    await page.waitForTimeout(800);
    const [inner, content] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
    assert.ok(content <= inner, `${hash} is ${content} px wide on ${inner}`);
  }
  assert.deepEqual(faults, []);
  await close();
});

test("the keyboard alone reaches a study, a trial, and the way back", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const { page, faults, close } = await open();
  await page.locator("a.study-row").first().waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("over");
  const row = page.locator("a.study-row");
  await page.waitForFunction(() => document.querySelectorAll("a.study-row").length === 1);
  for (let i = 0; i < 6 && !(await row.evaluate((e) => e === document.activeElement)); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "over" }).waitFor();
  await page.locator(".trial-table tbody a").first().focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Trial 20" }).waitFor();
  await page.keyboard.press("ArrowLeft");
  await page.getByRole("heading", { name: "Trial 19" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("complementary").waitFor({ state: "detached" });
  assert.deepEqual(faults, []);
  await close();
});

test("a stopped trial says which rule, value, threshold and step; a running one's log follows", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const stopped = server.studies.get("default/over").rows.find((r) => r.stop);
  const { page, faults, close } = await open(`#/default/over/${stopped.n}`);
  const story = await page.getByTestId("stop-story").textContent();
  assert.match(story, /by the median rule at step 8: val_accuracy was 0\.\d+, below the threshold 0\.\d+/);
  await page.locator("pre.log", { hasText: "asked to stop" }).waitFor();

  const study = server.add({ name: "logs", trials: 3, parallel: 1, done: 0 });
  await page.evaluate(() => { location.hash = "#/default/logs/1"; });
  await page.locator("pre.log", { hasText: "epoch=3 " }).waitFor();
  assert.equal(await page.locator("pre.log", { hasText: "epoch=5 " }).count(), 0);
  study.tick();
  study.tick();
  await page.locator("pre.log", { hasText: "epoch=5 " }).waitFor();
  assert.deepEqual(faults, []);
  await close();
});

test("parallel coordinates: dragging along an axis keeps the lines that pass there", { skip: noBrowser, timeout: TEST_MS }, async () => {
  const rows = server.studies.get("default/over").rows.filter((r) => r.state === "succeeded" || r.state === "stopped");
  const { page, faults, close } = await open("#/default/over");
  await page.getByRole("tab", { name: "Parameters" }).click();
  const region = page.getByRole("region", { name: "Parallel coordinates" });
  await region.getByText(`${rows.length} trials`).waitFor();
  await page.getByRole("region", { name: "Importance" }).getByText(/trials?[;.]|needed/).first().waitFor();
  await region.scrollIntoViewIfNeeded();
  const box = await settledBox(region.locator("canvas").last());
  /* The last axis is the objective: keep its upper half. */
  await page.mouse.move(box.x + box.width - 56, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 56, box.y + box.height / 2, { steps: 5 });
  await page.mouse.up();
  await region.getByRole("status").getByText(/^\d+ of/).waitFor();
  const text = await region.getByRole("status").textContent();
  const [, kept] = /^(\d+) of/.exec(text);
  assert.ok(Number(kept) > 0 && Number(kept) < rows.length, text);
  const best = server.studies.get("default/over").best;
  assert.match(text, new RegExp(`trial ${best.number}`));
  await region.getByRole("button", { name: "show all" }).click();
  await region.getByText(`${rows.length} trials`).waitFor();
  assert.deepEqual(faults, []);
  await close();
});
