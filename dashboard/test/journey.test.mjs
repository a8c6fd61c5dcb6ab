/**
 * One visitor's way through the dashboard: sign in, list, study, trial, pause and resume, with the
 * numbers on the page held against the API's. Against a real server where ASSAY_URL and
 * ASSAY_TOKEN are set (it must hold at least one study with a finished trial; ASSAY_PROJECT and
 * ASSAY_STUDY choose it), else against the stand-in.
 * SCREENSHOT=PATH keeps a picture of the study's page.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DASHBOARD, PATIENCE_MS, TEST_MS, launch, newPage, noBrowser } from "./browser.mjs";
import { FakeServer, TOKEN } from "./fake-server.mjs";
import { load } from "./load.mjs";

const { formatMetric, formatNumber } = await load("format.ts");
const real = Boolean(process.env.ASSAY_URL && process.env.ASSAY_TOKEN);
let url = (process.env.ASSAY_URL ?? "").trim().replace(/\/$/, "");
const token = real ? process.env.ASSAY_TOKEN.trim() : TOKEN;
const project = process.env.ASSAY_PROJECT ?? "default";
let fake = null;
let browser = null;

async function api(path) {
  const answer = await fetch(`${url}/v1/projects/${project}${path}`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 200, `GET ${path} answered ${answer.status}`);
  return answer.json();
}

/** Waits until the page shows what the API says now; both may move on meanwhile. */
async function agree(what, shown, expected) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const want = await expected();
    const got = await shown();
    if (got === want || (want instanceof RegExp && want.test(got))) return;
    if (Date.now() > deadline) assert.fail(`${what}: the page shows ${JSON.stringify(got)}, the API says ${String(want)}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

before(async () => {
  if (!real) {
    fake = new FakeServer({ dashboard: DASHBOARD });
    const study = fake.add({ name: "digits-mlp", trials: 60, done: 31 });
    fake.add({ name: "digits-mlp-v1", trials: 40, done: 40, state: "succeeded", reason: "trials_done", seed: 3 });
    await fake.listen();
    fake.timer = setInterval(() => study.tick(), 800);
    url = fake.url;
  }
  if (!noBrowser) browser = await launch();
});

after(async () => {
  await browser?.close();
  if (fake) {
    clearInterval(fake.timer);
    await fake.close();
  }
});

test(`from the list to a trial, ${real ? "real server" : "stand-in"}`, { skip: noBrowser, timeout: TEST_MS }, async () => {
  const { studies } = await api("/studies?page_size=50&sort=-created_at");
  const finished = (s) => s.trials.succeeded + s.trials.stopped + s.trials.failed + s.trials.infeasible + s.trials.cancelled;
  const chosen = process.env.ASSAY_STUDY ?? studies.find((s) => s.state === "running" && s.best)?.name ?? studies.find((s) => s.best)?.name;
  assert.ok(chosen, "the server holds no study with a best trial");

  const { page, faults, close } = await newPage(browser, { host: new URL(url).hostname });
  await page.goto(`${url}/#token=${encodeURIComponent(token)}`);

  /* list */
  await page.getByRole("heading", { name: "Studies" }).waitFor();
  assert.equal(new URL(page.url()).hash, "#/", "the token is out of the address");
  assert.equal(await page.evaluate(() => sessionStorage.getItem("assay.token")), token);
  const row = page.locator("a.study-row", { has: page.getByText(chosen, { exact: true }) });
  await row.waitFor();
  await agree("best in the list", () => row.locator(".best strong").textContent(),
    async () => formatMetric((await api(`/studies/${chosen}`)).best.value));
  await page.getByRole("searchbox").fill(chosen);
  await row.click();

  /* study */
  await page.getByRole("heading", { level: 1, name: chosen }).waitFor();
  const before = (await api(`/studies/${chosen}`)).best.value;
  await agree("best value", async () => (await page.getByTestId("best-value").textContent()).replace(/trial.*$/, ""),
    async () => formatMetric((await api(`/studies/${chosen}`)).best.value, 6));
  /* It may grow faster than the page and this test come to the same number. */
  const done = finished(await api(`/studies/${chosen}`));
  await page.waitForFunction((n) => Number(document.querySelector("[data-testid=progress]").textContent.replace(/of.*$|\D/g, "")) >= n, done);
  const shown = Number((await page.getByTestId("progress").textContent()).replace(/of.*$|\D/g, ""));
  assert.ok(shown <= finished(await api(`/studies/${chosen}`)), `the page shows ${shown} trials done`);
  await page.locator(".chart canvas").first().waitFor();
  const study = await api(`/studies/${chosen}`);
  const table = page.locator(".trial-table");
  await table.getByRole("button", { name: study.objectives[0].metric }).click();
  await page.locator(".trial-table th[aria-sort]:not([aria-sort=none])", { hasText: study.objectives[0].metric }).waitFor();
  await agree("first row by value", () => table.locator("tbody tr").first().getAttribute("data-trial"), async () => {
    const order = study.objectives[0].goal === "maximize" ? "-value" : "value";
    return String((await api(`/studies/${chosen}/trials?sort=${order}&page_size=1`)).trials[0].number);
  });
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });

  /* trial */
  await page.getByRole("region", { name: "Best trial" }).getByRole("link").click();
  const panel = page.getByRole("complementary");
  const heading = await panel.getByRole("heading", { name: /^Trial \d+$/ }).textContent();
  const trial = await api(`/studies/${chosen}/trials/${heading.replace("Trial ", "")}`);
  const after = (await api(`/studies/${chosen}`)).best.value; // of two bests of this time, it is one
  const sign = study.objectives[0].goal === "maximize" ? 1 : -1;
  assert.ok(sign * trial.value >= sign * before && sign * trial.value <= sign * after, `${heading} is not the best`);
  await agree("trial value", async () => (await panel.getByTestId("trial-value").textContent()).replace(study.objectives[0].metric, ""),
    async () => formatMetric(trial.value, 6));
  for (const name of Object.keys(trial.parameters))
    await panel.getByRole("rowheader", { name, exact: true }).first().waitFor();
  await panel.getByRole("region", { name: "Why" }).getByText(/^(Proposed|Listed|Queued|Imported|Warm)/).waitFor();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });

  /* pause and resume */
  if ((await api(`/studies/${chosen}`)).state === "running") {
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).waitFor();
    assert.equal((await api(`/studies/${chosen}`)).state, "paused");
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Pause" }).waitFor();
    assert.equal((await api(`/studies/${chosen}`)).state, "running");
  }

  /* what mattered */
  await page.getByRole("tab", { name: "Parameters" }).click();
  const importance = page.getByRole("region", { name: "Importance" });
  await importance.getByText(/trials?[;.]|needed/).first().waitFor();
  const mattered = await api(`/studies/${chosen}/importance?method=ped_anova`);
  if (mattered.importance.length > 0) {
    await importance.getByRole("button", { name: "Best trials" }).click();
    await agree("bars", () => importance.getByRole("list", { name: "Importance of parameters" }).getByRole("listitem").count(),
      async () => (await api(`/studies/${chosen}/importance`)).importance.length);
  }

  /* events and setup */
  await page.getByRole("tab", { name: "Events" }).click();
  await page.getByRole("list", { name: /Events/ }).waitFor();
  await page.getByRole("tab", { name: "Setup" }).click();
  await page.getByText("Algorithm", { exact: true }).waitFor();
  assert.deepEqual(faults, []);
  await close();
});
