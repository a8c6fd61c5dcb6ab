/**
 * A stand-in for assayd that speaks the shapes the dashboard relies on, for what a test can't ask
 * of the real one: an outage at the right moment, a token that stops being valid, 10,000 trials.
 * Everything it answers follows from a seed; a study marked live moves on by itself.
 *
 *   node test/fake-server.mjs [PORT] [DASHBOARD-DIRECTORY]     to look at the pages by hand
 */
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const TOKEN = "fake-token";
const FINAL_TRIAL = ["succeeded", "stopped", "infeasible", "failed", "cancelled"];
const FINAL_STUDY = ["succeeded", "failed", "cancelled"];
const CSP = "default-src 'self'";

function random(seed) {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const PARAMETERS = [
  { name: "lr", type: "double", min: 1e-5, max: 1, scale: "log", default: 0.01 },
  { name: "units", type: "int", min: 8, max: 512, scale: "log" },
  { name: "dropout", type: "double", min: 0, max: 0.6, step: 0.1 },
  { name: "batch", type: "discrete", values: [16, 32, 64, 128] },
  { name: "optimizer", type: "categorical", values: ["sgd", "adam"] },
  { name: "momentum", type: "double", min: 0, max: 0.99, when: { optimizer: ["sgd"] } },
];

const iso = (ms) => new Date(ms).toISOString().replace(/Z$/, "000Z");
const number = (v) => (Number.isNaN(v) ? "nan" : v);

/** One study with its trials, curves, logs and events. */
class FakeStudy {
  constructor({ name, project = "default", trials = 50, parallel = 4, done = 0, seed = 7, state = "running",
    reason = null, message = null, ageMs = 600_000, perTrialMs = 24_000, epochs = 30, runs = true, target = 0.985 }) {
    Object.assign(this, { name, project, state, reason, message, seed, epochs, runs, target, perTrialMs });
    this.limits = { trials, parallel, failed_trials: 5, time: "2h" };
    this.rand = random(seed);
    this.rows = [];
    this.events = [];
    this.version = 1;
    this.created = Date.now() - ageMs;
    this.finished = null;
    this.waiters = new Set();
    this.event("study_created", null, `study ${name} was submitted`, {}, this.created);
    for (let i = 0; i < done; i++) {
      const slot = Math.floor(i / parallel);
      const start = this.created + 1_000 + slot * perTrialMs * 0.72 + (i % parallel) * 700;
      const row = this.start(start);
      this.advance(row, this.epochs, start + perTrialMs);
    }
    if (state === "running") for (let i = 0; i < parallel && this.rows.length < trials; i++)
      this.advance(this.start(Date.now() - 3_000 * (i + 1)), 3 + 4 * i, Date.now());
    if (FINAL_STUDY.includes(state)) this.finished = this.rows.at(-1)?.finished ?? this.created + 5_000;
  }

  event(type, trial, message, data = {}, time = Date.now()) {
    this.events.push({ id: this.events.length + 1, time: iso(time), type, trial, message, data });
  }

  touch() {
    this.version++;
    for (const wake of [...this.waiters]) wake();
  }

  start(time) {
    const r = this.rand;
    const n = this.rows.length + 1;
    const explore = Math.max(0.15, 1 - n / 25);
    const lr = 10 ** (-2.2 + explore * (r() - 0.5) * 4.6);
    const optimizer = r() < 0.5 + 0.35 * (1 - explore) ? "adam" : "sgd";
    const parameters = {
      lr, units: Math.round(2 ** (3 + (0.65 + explore * (r() - 0.6)) * 6)), dropout: Math.round(r() * 6) / 10,
      batch: [16, 32, 64, 128][Math.floor(r() * 4)], optimizer,
    };
    if (optimizer === "sgd") parameters.momentum = Math.round(r() * 99) / 100;
    const quality = 1 - 0.045 * (Math.log10(lr) + 2.2) ** 2 - 0.05 * Math.abs(parameters.dropout - 0.2) - (optimizer === "adam" ? 0 : 0.015);
    const row = { n, state: "running", parameters, start: time, finished: null, reason: null, message: null, stop: null,
      final: Math.max(0.12, Math.min(0.988, 0.972 * quality + 0.02 * (r() - 0.5))), speed: 2 + 5 * r(), noise: r(),
      fails: r() < 0.04, points: [] };
    this.rows.push(row);
    this.event("trial_created", n, `trial ${n} proposed by tpe`, {}, time);
    this.event("attempt_started", n, `attempt 1 of trial ${n} started`, { attempt: 1 }, time + 4);
    return row;
  }

  /** Adds epochs up to `epoch`; ends the trial at its last or where the rule says so. */
  advance(row, epoch, time) {
    const noise = random(row.n * 1009 + this.seed);
    const values = [];
    for (let e = 1; e <= epoch; e++) {
      const wobble = (noise() - 0.5) * 0.03 * row.noise;
      const val = Math.max(0.05, row.final * (1 - Math.exp(-e / row.speed)) + wobble);
      const loss = Math.max(0.01, 2.3 * Math.exp(-e / (row.speed * 1.4)) + (1 - row.final) * 1.6 + wobble);
      values.push({ step: e, time: iso(row.start + (e / this.epochs) * this.perTrialMs), metrics: { val_accuracy: val, loss, train_loss: loss * 0.8 } });
    }
    row.points = values;
    const check = 8;
    if (row.fails && epoch >= 3) return this.end(row, "failed", "out_of_memory", "the program was killed: out of memory (limit 4 GiB)", time, 3);
    if (epoch >= check && row.n > 6) {
      const value = row.points[check - 1].metrics.val_accuracy;
      const others = this.rows.filter((o) => o.n < row.n && o.points.length >= check).slice(-60)
        .map((o) => o.points[check - 1].metrics.val_accuracy).sort((a, b) => a - b);
      const median = others[others.length >> 1];
      if (median !== undefined && value < median * 0.97) {
        row.stop = { rule: "median", metric: "val_accuracy", value, threshold: median, step: check, compared: others.length };
        this.event("trial_stop_decided", row.n, `median: val_accuracy ${value.toFixed(4)} is below ${median.toFixed(4)} at step ${check}`, {}, time);
        return this.end(row, "stopped", "stopped_by_rule", null, time, check);
      }
    }
    if (epoch >= this.epochs) this.end(row, "succeeded", "exit_code", null, time, this.epochs);
  }

  end(row, state, reason, message, time, steps) {
    row.points = row.points.slice(0, steps);
    row.state = state;
    row.reason = reason;
    row.message = message;
    row.finished = row.start + Math.min(time - row.start, this.perTrialMs * (steps / this.epochs));
    this.event("attempt_ended", row.n, `attempt 1 of trial ${row.n} ended`, { attempt: 1 }, row.finished);
    this.event("trial_state", row.n, `trial ${row.n} ${state === "stopped" ? "stopped early" : state}`, { state, reason }, row.finished);
  }

  /** One beat of a live study. */
  tick() {
    if (this.state !== "running") return;
    for (const row of this.rows.filter((r) => r.state === "running")) this.advance(row, row.points.length + 1, Date.now());
    while (this.rows.filter((r) => r.state === "running").length < this.limits.parallel && this.rows.length < this.limits.trials)
      this.start(Date.now());
    if (this.rows.length >= this.limits.trials && this.rows.every((r) => FINAL_TRIAL.includes(r.state))) this.become("succeeded", "trials_done");
    this.touch();
  }

  become(state, reason = null) {
    this.state = state;
    this.reason = reason;
    if (FINAL_STUDY.includes(state)) this.finished = Date.now();
    this.event("study_state", null, `study ${this.name} is ${state}`, { state });
    this.touch();
  }

  get best() {
    let best = null;
    for (const row of this.rows) if ((row.state === "succeeded" || row.state === "stopped") && (!best || value(row) > value(best))) best = row;
    return best && { number: best.n, value: value(best), metric: "val_accuracy", goal: "maximize", parameters: best.parameters, metrics: metrics(best) };
  }

  json(withSpec = false) {
    const trials = Object.fromEntries(["queued", "running", "paused", "stopping", ...FINAL_TRIAL].map((s) => [s, 0]));
    for (const row of this.rows) trials[row.state]++;
    trials.total = this.rows.length;
    const early = { name: "median", settings: { min_trials: 5, warmup_steps: 3 } };
    const objectives = [{ metric: "val_accuracy", goal: "maximize", target: this.target }];
    return {
      name: this.name, project: this.project, state: this.state, reason: this.reason, message: this.message, objectives,
      algorithm: { name: "tpe", settings: {} }, early_stopping: early, limits: this.limits, seed: this.seed, runs_trials: this.runs,
      trials, best: this.best, created_at: iso(this.created), started_at: iso(this.created + 900),
      finished_at: this.finished ? iso(this.finished) : null,
      ...(withSpec ? { spec: { name: this.name, project: this.project, objective: objectives[0], parameters: PARAMETERS,
        algorithm: { name: "tpe" }, early_stopping: early, limits: this.limits, seed: this.seed,
        trial: { command: ["python3", "train.py", "--lr", "${lr}", "--units", "${units}"], metrics: { from: "stdout" } } } } : {}),
    };
  }

  trial(row) {
    const live = row.state === "running";
    return {
      number: row.n, study: this.name, project: this.project, state: row.state, reason: row.reason, message: row.message,
      parameters: row.parameters, metrics: row.state === "running" ? {} : metrics(row),
      value: row.state === "running" || row.state === "failed" ? null : number(value(row)), budget: null,
      attempts: [{ number: 1, state: live ? "running" : "exited", exit_code: row.state === "succeeded" ? 0 : null,
        signal: row.state === "stopped" ? 15 : row.state === "failed" ? 9 : null, reason: row.reason, message: null, pid: live ? 4000 + row.n : null,
        gpus: [row.n % 2], started_at: iso(row.start), finished_at: row.finished ? iso(row.finished) : null }],
      why: { proposed_by: row.n <= 8 ? "sobol" : "tpe", stop: row.stop },
      client: null, lease_expires: null, steps: row.points.length || null,
      created_at: iso(row.start - 3), started_at: iso(row.start), finished_at: row.finished ? iso(row.finished) : null,
    };
  }

  log(row) {
    const lines = [`loading the digits: 1437 to train, 360 to validate`, `parameters ${JSON.stringify(row.parameters)}`];
    for (const p of row.points)
      lines.push(`epoch=${p.step} loss=${p.metrics.loss.toFixed(4)} val_accuracy=${p.metrics.val_accuracy.toFixed(4)}`);
    if (row.state === "stopped") lines.push("asked to stop: saving and leaving");
    if (row.state === "failed") lines.push("\u001b[31mMemoryError\u001b[0m: unable to allocate 3.91 GiB");
    return lines;
  }
}

const value = (row) => row.points.at(-1)?.metrics.val_accuracy ?? NaN;
const metrics = (row) => (row.points.length === 0 ? {} : row.points.at(-1).metrics);

export class FakeServer {
  constructor({ dashboard }) {
    this.dashboard = dashboard;
    this.studies = new Map();
    this.token = TOKEN;
    this.requests = [];
    this.sockets = new Set();
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error) => {
        if (!response.headersSent) this.problem(response, 500, "internal", String(error.stack ?? error));
        else response.destroy();
      });
    });
    this.server.on("connection", (socket) => {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
    });
  }

  add(options) {
    const study = new FakeStudy(options);
    this.studies.set(`${study.project}/${study.name}`, study);
    return study;
  }

  /** Left out, a port that nobody is given by chance while this server is away: below those. */
  async listen(port = null) {
    for (let tries = 1; ; tries++) {
      try {
        await new Promise((resolve, reject) => {
          this.server.once("error", reject);
          this.server.listen(port ?? 10_000 + Math.floor(20_000 * Math.random()), "127.0.0.1", resolve);
        });
        break;
      } catch (error) {
        if (port !== null || error.code !== "EADDRINUSE" || tries === 100) throw error;
      }
    }
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  /** Goes away at once, as a killed daemon does. */
  async close() {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  json(response, status, body, etag = null) {
    const text = JSON.stringify(body);
    response.writeHead(status, { "Content-Type": "application/json", ...(etag ? { ETag: etag } : {}) });
    response.end(text);
  }

  problem(response, status, code, detail, errors) {
    response.writeHead(status, { "Content-Type": "application/problem+json" });
    response.end(JSON.stringify({ type: "about:blank", title: code.replaceAll("_", " "), status, code, detail, ...(errors ? { errors } : {}) }));
  }

  async answer(request, response) {
    const url = new URL(request.url, "http://localhost");
    const path = url.pathname;
    const q = url.searchParams;
    this.requests.push(`${request.method} ${request.url}`);
    if (!path.startsWith("/v1/")) return this.file(path, response);
    if (request.headers.authorization !== `Bearer ${this.token}`)
      return this.problem(response, 401, "unauthorized", "the token is missing or not valid");
    let body = "";
    for await (const piece of request) body += piece;

    if (path === "/v1/whoami") return this.json(response, 200, { role: "admin", projects: ["*"] });
    if (path === "/v1/projects") return this.json(response, 200, { projects: [{ name: "default", created_at: iso(0) }] });
    const [, project, , name, ...rest] = path.slice(3).split("/").filter(Boolean).map(decodeURIComponent);
    if (name === undefined) {
      if (request.method === "POST")
        return this.problem(response, 422, "invalid_study", "the study has 2 faults", [
          { pointer: "/parameters/0/min", line: 4, message: "min must be less than max", found: 3, allowed: "a number less than max (1)" },
          { pointer: "/objective/goal", line: 2, message: "unknown goal", found: "smallest", allowed: "minimize or maximize" }]);
      return this.studyList(request, response, project, q);
    }
    const study = this.studies.get(`${project}/${name}`);
    if (!study) return this.problem(response, 404, "not_found", `no study ${name} in project ${project}`);
    if (request.method === "PATCH") return this.patch(response, study, JSON.parse(body));
    if (request.method === "POST") return this.verb(response, study, rest);
    return this.show(request, response, study, rest, q);
  }

  async file(path, response) {
    const types = { "/": "text/html; charset=utf-8", "/app.js": "text/javascript", "/app.css": "text/css", "/favicon.svg": "image/svg+xml" };
    if (!types[path]) return this.problem(response, 404, "not_found", `nothing at ${path}`);
    const bytes = await readFile(join(this.dashboard, path === "/" ? "index.html" : path));
    response.writeHead(200, { "Content-Type": types[path], "Content-Security-Policy": CSP });
    response.end(bytes);
  }

  /** Answers with an ETag, 304 where the client has it; holds while ?wait= and nothing changed. */
  async conditional(request, response, q, studies, version, make) {
    const tag = () => `"${version()}"`;
    const match = request.headers["if-none-match"];
    if (q.has("wait") && match === tag()) {
      await new Promise((resolve) => {
        const timer = setTimeout(end, parseInt(q.get("wait"), 10) * 1000);
        function end() {
          if (match === tag() && Date.now() < due) return;
          clearTimeout(timer);
          for (const s of studies) s.waiters.delete(end);
          resolve();
        }
        const due = Date.now() + parseInt(q.get("wait"), 10) * 1000 - 5;
        for (const s of studies) s.waiters.add(end);
        response.on("close", () => { clearTimeout(timer); for (const s of studies) s.waiters.delete(end); resolve(); });
      });
    }
    if (response.destroyed) return;
    if (match === tag()) {
      response.writeHead(304, { ETag: match });
      response.end();
    } else this.json(response, 200, make(), tag());
  }

  studyList(request, response, project, q) {
    const mine = [...this.studies.values()].filter((s) => s.project === project);
    const size = Number(q.get("page_size") ?? 100);
    const from = Number(q.get("page_token") ?? 0);
    const make = () => {
      let list = mine.filter((s) => s.name.startsWith(q.get("name") ?? "") && (!q.get("state") || q.get("state").split(",").includes(s.state)));
      const sort = q.get("sort") ?? "-created_at";
      const key = sort.replace("-", "") === "name" ? (s) => s.name : (s) => s.created;
      list = list.sort((a, b) => (key(a) < key(b) ? -1 : 1) * (sort.startsWith("-") ? -1 : 1));
      return { studies: list.slice(from, from + size).map((s) => s.json()), next_page_token: list.length > from + size ? String(from + size) : null };
    };
    return this.conditional(request, response, q, mine, () => `l${mine.map((s) => s.version).join(".")}`, make);
  }

  patch(response, study, body) {
    const trials = body.limits?.trials;
    if (trials !== undefined && (!Number.isInteger(trials) || trials < study.rows.length))
      return this.problem(response, 422, "invalid_value", "the limits can't be changed so", [
        { pointer: "/limits/trials", message: "fewer than the trials already made", found: trials, allowed: `a whole number from ${study.rows.length}` }]);
    study.limits = { ...study.limits, ...body.limits };
    study.touch();
    return this.json(response, 200, study.json(true));
  }

  verb(response, study, rest) {
    if (rest[0] === "trials" && rest[2] === "stop") {
      const row = study.rows[Number(rest[1]) - 1];
      study.end(row, "stopped", "stopped_by_user", "stopped by a user", Date.now(), row.points.length);
      study.touch();
      return this.json(response, 200, study.trial(row));
    }
    const states = { pause: "paused", resume: "running", cancel: "cancelled" };
    if (!states[rest[0]]) return this.problem(response, 405, "method_not_allowed", "no such verb");
    if (FINAL_STUDY.includes(study.state) && study.state !== states[rest[0]])
      return this.problem(response, 409, "study_finished", `study ${study.name} has ${study.state} already`);
    if (rest[0] === "cancel") for (const row of study.rows.filter((r) => r.state === "running"))
      study.end(row, "cancelled", "study_cancelled", null, Date.now(), row.points.length);
    if (study.state !== states[rest[0]]) study.become(states[rest[0]], rest[0] === "cancel" ? "cancelled_by_user" : null);
    return this.json(response, 200, study.json(true));
  }

  show(request, response, study, rest, q) {
    const conditional = (make) => this.conditional(request, response, q, [study], () => study.version, make);
    const [kind, n, what] = rest;
    if (kind === undefined) return conditional(() => study.json(true));
    if (kind === "curves") {
      const metric = q.get("metric");
      const points = Number(q.get("points") ?? 100);
      return conditional(() => ({ metric, curves: study.rows.filter((r) => r.points.length > 0).map((r) => {
        const every = Math.max(1, Math.ceil(r.points.length / points));
        const kept = r.points.filter((_, i) => i % every === 0 || i === r.points.length - 1);
        return { number: r.n, state: r.state, steps: kept.map((p) => p.step), values: kept.map((p) => number(p.metrics[metric])) };
      }) }));
    }
    if (kind === "importance") {
      const fanova = q.get("method") === "fanova" || q.get("interactions") === "true";
      const names = PARAMETERS.map((p) => p.name);
      const some = study.rows.length >= 10;
      return conditional(() => ({
        importance: some ? names.map((parameter, i) => ({ parameter, importance: 0.5 ** (i + 1) + (i === 0 ? 0.5 ** names.length : 0) })) : [],
        interactions: q.get("interactions") !== "true" ? null : some ? [{ parameters: names.slice(0, 2), importance: 0.12 }] : [],
        explained: fanova && some ? 0.78 : null, method: fanova ? "fanova" : "ped_anova", metric: "val_accuracy",
        trials: study.rows.length, message: some ? null : `At least 10 ended trials are needed; there are ${study.rows.length}.`,
      }));
    }
    if (kind === "advice") {
      const some = study.rows.length >= 10;
      return conditional(() => ({
        advice: some ? "go_on" : "too_early", sentence: some ? "Going on looks worth it. In the next 10 trials more is expected." : "Too early to say.",
        metric: "val_accuracy", trials: study.rows.length, stagnation: 0, best: null, expected_improvement: null,
        probability_of_improvement: null, expected_best_after: null, method: null,
      }));
    }
    if (kind === "events") {
      const size = Number(q.get("page_size") ?? 100);
      const newest = q.get("sort") === "-id";
      const list = newest ? [...study.events].reverse() : study.events.filter((e) => e.id > Number(q.get("after") ?? 0));
      return this.json(response, 200, { events: list.slice(0, size), next_page_token: list.length > size ? "more" : null });
    }
    if (kind !== "trials") return this.problem(response, 404, "not_found", `nothing at ${kind}`);
    if (n === undefined) {
      const states = q.get("state")?.split(",");
      const fields = q.get("fields")?.split(",");
      const sort = q.get("sort") ?? "number";
      const from = Number(q.get("page_token") ?? 0);
      const size = Number(q.get("page_size") ?? 100);
      const down = sort.startsWith("-") ? -1 : 1;
      const key = { number: (t) => t.number, value: (t) => (typeof t.value === "number" ? t.value : -Infinity), started_at: (t) => t.started_at }[sort.replace("-", "")];
      return conditional(() => {
        const rows = study.rows.filter((r) => !states || states.includes(r.state));
        const ordered = sort === "number" ? rows : sort === "-number" ? [...rows].reverse()
          : rows.map((r) => study.trial(r)).sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.number - b.number) * down);
        const page = ordered.slice(from, from + size).map((r) => ("n" in r ? study.trial(r) : r));
        return {
          trials: fields ? page.map((t) => Object.fromEntries(fields.filter((f) => f in t).map((f) => [f, t[f]]))) : page,
          next_page_token: ordered.length > from + size ? String(from + size) : null,
        };
      });
    }
    const row = study.rows[Number(n) - 1];
    if (!row) return this.problem(response, 404, "not_found", `no trial ${n} in study ${study.name}`);
    if (what === undefined) return conditional(() => study.trial(row));
    if (what === "measurements") return conditional(() => ({ measurements: row.points, next_page_token: null }));
    if (what === "logs") return this.logs(response, study, row, q);
    return this.problem(response, 404, "not_found", `nothing at ${what}`);
  }

  logs(response, study, row, q) {
    response.writeHead(200, { "Content-Type": "text/plain; charset=utf-8" });
    let sent = study.log(row).slice(-Number(q.get("tail") ?? 1e9));
    response.write(sent.join("\n") + "\n");
    let count = study.log(row).length;
    if (q.get("follow") !== "true" || FINAL_TRIAL.includes(row.state)) return response.end();
    const more = () => {
      const lines = study.log(row);
      if (lines.length > count) response.write(lines.slice(count).join("\n") + "\n");
      count = lines.length;
      if (FINAL_TRIAL.includes(row.state)) end();
    };
    const end = () => {
      study.waiters.delete(more);
      response.end();
    };
    study.waiters.add(more);
    response.on("close", () => study.waiters.delete(more));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = new FakeServer({ dashboard: process.argv[3] ?? "build/dashboard" });
  const live = server.add({ name: "digits-mlp", trials: 60, done: 31, parallel: 4, ageMs: 190_000 });
  server.add({ name: "digits-mlp-v1", trials: 40, done: 40, state: "succeeded", reason: "trials_done", seed: 3, ageMs: 90_000_000 });
  server.add({ name: "resnet-lr-sweep", trials: 200, done: 88, state: "paused", seed: 21, ageMs: 8_000_000 });
  server.add({ name: "big-grid", trials: 10_000, done: 10_000, state: "succeeded", reason: "trials_done", seed: 5, ageMs: 400_000_000, epochs: 12 });
  server.add({ name: "bad-image", trials: 20, done: 0, state: "failed", reason: "all_trials_failed", message: "the first 5 trials failed in the same way: python3: can't open file 'train.py'", seed: 9, ageMs: 500_000 });
  server.add({ name: "workers-only", trials: 100, done: 0, state: "paused", runs: false, seed: 11, ageMs: 40_000 });
  await server.listen(Number(process.argv[2] ?? 8123));
  setInterval(() => live.tick(), 800);
  console.log(`${server.url}/#token=${TOKEN}`);
}
