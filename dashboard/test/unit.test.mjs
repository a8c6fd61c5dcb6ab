/** The pure functions: what numbers, times, estimates and logs are turned into. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const format = await load("format.ts");
const progress = await load("progress.ts");
const log = await load("log.ts");
const api = await load("api.ts");
const why = await load("why.ts");

test("numbers are short, grouped and never lose their size", () => {
  const cases = [
    [0, "0"], [1, "1"], [9999, "9999"], [10000, "10\u202f000"], [1234567, "1\u202f234\u202f567"],
    [0.9695731, "0.96957"], [0.5, "0.5"], [12.3456789, "12.346"], [-0.25, "\u22120.25"],
    [0.00432, "0.00432"], [0.00001234, "1.234e\u22125"], [1.5e12, "1.5e12"], [123456.7, "123\u202f457"],
    [NaN, "nan"], [Infinity, "inf"], [-Infinity, "\u2212inf"],
  ];
  for (const [value, text] of cases) assert.equal(format.formatNumber(value), text, String(value));
  assert.equal(format.formatNumber(0.9695731, 6), "0.969573");
});

test("metric values that JSON has no number for", () => {
  assert.ok(Number.isNaN(format.toNumber("nan")));
  assert.equal(format.toNumber("Infinity"), Infinity);
  assert.equal(format.toNumber("-inf"), -Infinity);
  assert.ok(Number.isNaN(format.toNumber(null)));
  assert.equal(format.formatMetric(null), "–");
  assert.equal(format.formatMetric("nan"), "nan");
});

test("durations are written as people say them and read as the study file has them", () => {
  const written = [[0, "0 ms"], [350, "350 ms"], [1500, "1.5 s"], [9990, "10 s"], [45_000, "45 s"], [59_700, "1 min"],
    [200_000, "3 min 20 s"], [3_600_000, "1 h"], [7_500_000, "2 h 5 min"], [90_000_000, "1 d 1 h"], [-1, "–"], [NaN, "–"]];
  for (const [ms, text] of written) assert.equal(format.formatDuration(ms), text, String(ms));
  const read = [["2h", 7_200_000], ["1h30m", 5_400_000], ["90s", 90_000], ["500ms", 500], ["1d2h", 93_600_000], ["5us", 0.005], [90, 90_000], ["90", 90_000],
    ["2 h 5 min", 7_500_000], ["soon", null], ["", null], [null, null], [-1, null]];
  for (const [text, ms] of read) assert.equal(format.parseDuration(text), ms, String(text));
});

test("ages have one unit", () => {
  assert.deepEqual([0, 20_000, 300_000, 11_000_000, 1e9].map(format.formatAge), ["now", "20 s", "5 min", "3 h", "11 d"]);
});

const row = (number, value, state = "succeeded", feasible = true) => ({ number, state, value, feasible, finishedMs: NaN });

test("the best so far counts what the server counts", () => {
  const rows = [row(1, 0.5), row(2, NaN, "failed"), row(3, 0.7), row(4, Infinity), row(5, 0.8, "stopped"),
    row(6, 0.95, "succeeded", false), row(7, 0.9, "infeasible"), row(8, 0.6)];
  assert.deepEqual(progress.bestSoFar(rows, "maximize"), [0.5, 0.5, 0.7, 0.7, 0.8, 0.8, 0.8, 0.8]);
  assert.deepEqual(progress.bestSoFar(rows, "minimize"), [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
  assert.deepEqual(progress.bestSoFar([row(1, NaN), row(2, 3)], "minimize"), [null, 3]);
  assert.deepEqual(progress.bestSoFar([], "minimize"), []);
});

test("constraints are kept by what was measured within them", () => {
  const limit = [{ metric: "latency_ms", max: 20 }, { metric: "recall", min: 0.5 }];
  assert.ok(progress.keeps({ latency_ms: 20, recall: 0.5 }, limit));
  assert.ok(!progress.keeps({ latency_ms: 21, recall: 0.9 }, limit));
  assert.ok(!progress.keeps({ latency_ms: 5 }, limit));
  assert.ok(!progress.keeps({ latency_ms: "nan", recall: 1 }, limit));
  assert.ok(progress.keeps(undefined, []));
});

test("a diverged trial doesn't flatten the picture, and the good side is never cut", () => {
  const values = [0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37, 1e6];
  const low = progress.usefulRange(values, "minimize");
  assert.equal(low.min, 0.30);
  assert.ok(low.max < 1 && low.beyond === 1);
  assert.deepEqual(progress.usefulRange(values, "maximize"), { min: 0.30, max: 1e6, beyond: 0 });
  assert.deepEqual(progress.usefulRange([5, 5, 5], "minimize"), { min: 5, max: 5, beyond: 0 });
  assert.deepEqual(progress.usefulRange([NaN, Infinity], "minimize"), { min: 0, max: 1, beyond: 0 });
});

function study({ done = 10, running = 2, limit = 20, state = "running", time = null, startedMs = 0 } = {}) {
  const trials = { queued: 0, running, paused: 0, stopping: 0, succeeded: done, stopped: 0, infeasible: 0, failed: 0, cancelled: 0, total: done + running };
  return { state, limits: { trials: limit, time }, trials, created_at: new Date(startedMs).toISOString(), started_at: new Date(startedMs).toISOString(), finished_at: null };
}

test("the time left follows the pace of the latest ends", () => {
  const ends = Array.from({ length: 10 }, (_, i) => 10_000 * (i + 1));
  assert.equal(progress.estimateLeft(study(), ends, 100_000), 100_000);
  assert.equal(progress.estimateLeft(study(), ends, 104_000), 96_000, "it counts down between two ends");
  assert.ok(progress.estimateLeft(study(), ends, 400_000) > 300_000, "and grows in a lull");
  assert.equal(progress.estimateLeft(study({ done: 20 }), ends, 100_000), 0);
});

test("the time left is silent where nothing can be said", () => {
  const ends = [1_000, 2_000, 3_000];
  assert.equal(progress.estimateLeft(study({ state: "paused" }), ends, 4_000), null);
  assert.equal(progress.estimateLeft(study(), [1_000, 2_000], 4_000), null);
  assert.equal(progress.estimateLeft(study({ limit: null }), ends, 4_000), null);
});

test("the time left never passes the study's own time limit", () => {
  const ends = Array.from({ length: 10 }, (_, i) => 10_000 * (i + 1));
  assert.equal(progress.estimateLeft(study({ time: "2m" }), ends, 100_000), 20_000);
  assert.equal(progress.estimateLeft(study({ time: "2m", limit: null }), [], 100_000), 20_000);
});

test("curves get fewer points the more there are", () => {
  assert.equal(progress.pointsPerCurve(1), 120);
  assert.equal(progress.pointsPerCurve(1_000), 60);
  assert.equal(progress.pointsPerCurve(100_000), 12);
});

test("a log is readable: no terminal codes, the last state of a progress line", () => {
  assert.equal(log.readable("\u001b[31mred\u001b[0m\n"), "red\n");
  assert.equal(log.readable(" 10%\r 50%\r100%\ndone\r\n"), "100%\ndone\n");
  assert.equal(log.lastLines("a\nb\nc\n", 2), "b\nc\n");
  assert.equal(log.lastLines("a\nb", 5), "a\nb");
});

test("queries leave out what is empty and keep lists readable", () => {
  assert.equal(api.withQuery("/x", { a: "", b: null, c: [], d: ["p", "q"], e: "1 2", f: 0 }), "/x?d=p,q&e=1%202&f=0");
  assert.equal(api.withQuery("/x?y=1", { wait: "30s" }), "/x?y=1&wait=30s");
  assert.equal(api.paths.study("a/b", "c"), "/v1/projects/a%2Fb/studies/c");
});

test("axes of the parallel coordinates: ends, round values between, and what is not used", async () => {
  const { numberAxis, parameterAxis, standings } = await load("axes.ts");
  const lr = parameterAxis({ name: "lr", type: "double", min: 1e-4, max: 1, scale: "log" });
  assert.deepEqual(lr.ticks.map((t) => t.text), ["0.0001", "0.001", "0.01", "0.1", "1"]);
  assert.ok(Math.abs(lr.place(0.01) - 0.5) < 1e-12);
  const units = parameterAxis({ name: "units", type: "int", min: 1, max: 3 });
  assert.deepEqual(units.ticks.map((t) => t.text), ["1", "2", "3"]);
  const kind = parameterAxis({ name: "kind", type: "categorical", values: ["a", "b", "c"] });
  assert.deepEqual(["a", "b", "c", "d", undefined].map(kind.place), [0, 0.5, 1, null, null]);
  assert.deepEqual(parameterAxis({ name: "x", type: "bool" }).ticks.map((t) => t.text), ["false", "true"]);
  assert.equal(numberAxis("flat", 2, 2).place(2), 0.5);
  assert.ok(numberAxis("beta", 0.9, 0.999, "reverse_log").place(0.99) > 0.3);
  assert.deepEqual(standings([3, 1, NaN, 2], "minimize"), [0, 1, null, 0.5]);
  assert.deepEqual(standings([5], "maximize"), [1]);
});

test("CSV: every parameter and metric a column, quoted where needed, no formulas", async () => {
  const { trialsToCsv } = await load("csv.ts");
  const trial = (number, parameters, metrics, stop = null) => ({ number, state: "succeeded", reason: null, value: 0.5, steps: 3,
    started_at: "2026-01-02T03:04:05.000000Z", finished_at: null, parameters, metrics, why: { proposed_by: "tpe", stop } });
  const text = trialsToCsv([
    trial(1, { lr: 1e-5, kind: 'a "b", c' }, { loss: "nan" }),
    trial(2, { lr: -0.5, kind: "=1+1", deep: true }, { loss: "-inf" }, { rule: "median", step: 8, threshold: 0.7 }),
  ]);
  assert.deepEqual(text.split("\r\n"), [
    "number,state,reason,value,steps,started_at,finished_at,stop_rule,stop_step,stop_threshold,parameters.lr,parameters.kind,parameters.deep,metrics.loss",
    '1,succeeded,,0.5,3,2026-01-02T03:04:05.000000Z,,,,,0.00001,"a ""b"", c",,nan',
    "2,succeeded,,0.5,3,2026-01-02T03:04:05.000000Z,,median,8,0.7,-0.5,'=1+1,true,-inf",
    "",
  ]);
});

test("the front is what nothing beats", () => {
  const rows = [[1, 1], [2, 2], [2, 1], [3, 2], [4, 3], [1, 1], [0, 0]];
  assert.deepEqual(progress.onFront(rows, ["minimize", "maximize"]).sort(), [0, 1, 4, 5, 6]);
  assert.deepEqual(progress.onFront(rows, ["minimize", "minimize"]), [6]);
  let seed = 1;
  const draw = () => (seed = (seed * 16807) % 2147483647) % 7;
  for (let round = 0; round < 200; round++) {
    const m = 1 + (round % 4);
    const goals = Array.from({ length: m }, (_, k) => (k % 2 ? "maximize" : "minimize"));
    const points = Array.from({ length: 30 }, () => Array.from({ length: m }, draw));
    const better = (a, b) => a.every((v, k) => (goals[k] === "maximize" ? v >= b[k] : v <= b[k])) && a.some((v, k) => v !== b[k]);
    const slow = points.flatMap((p, i) => (points.some((o) => better(o, p)) ? [] : [i]));
    assert.deepEqual(progress.onFront(points, goals).sort((a, b) => a - b), slow);
  }
});

test("why a trial is as it is", () => {
  const objectives = [{ metric: "loss", goal: "minimize", target: null }];
  const lines = (w, value = null, of = objectives) => why.whyLines({ why: w, value }, of);
  assert.deepEqual(lines({ proposed_by: "user", stop: null }), ["Queued by a user"]);
  assert.deepEqual(lines({ proposed_by: "sobol", point: "centre" }), ["Proposed by sobol", "Initial design: the middle of the space"]);
  const model = { proposed_by: "bayesian", phase: "model", predicted: { mean: 0.5, sd: 0.1 },
    acquisition: { name: "log_expected_improvement", value: -3.5 }, incumbent: { number: 4, value: 0.45 }, learned_from: 1, pending: 2,
    algorithm: "auto", regime: "few", share: 0.754, models: 3 };
  assert.deepEqual(lines(model, 0.3), [
    "Proposed by bayesian, which auto picked (few: 75 % of the asks are its)",
    "Expected loss 0.5 ± 0.1; measured 0.3, 2.0 standard deviations better", "Acquisition: log expected improvement, \u22123.5 here",
    "The best then was trial 4 with 0.45", "Learned from 1 trial, with 2 more under way", "Models: 3"]);
  assert.match(lines(model, 0.3, [{ metric: "loss", goal: "maximize", target: null }])[1], /2\.0 standard deviations worse/);
  assert.match(lines(model, 0.501)[1], /as expected$/);
  const stopped = lines({ ...model, forecast: { metric: "loss", value: 0.6, trials: 7 } }, 3);
  assert.equal(stopped[1], "Expected loss 0.5 ± 0.1; going on, about 0.6, 1.0 standard deviations worse");
  assert.equal(stopped.length, 6);
  assert.deepEqual(lines(null), []);
});
