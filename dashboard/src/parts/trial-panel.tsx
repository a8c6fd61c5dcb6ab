/** One trial: parameters, result, why it was stopped, its attempts, curve and log. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import {
  type Attempt, FINAL_TRIAL, type Forecast, type MeasurementPage, type Problem, type StopDecision, type Study, type Trial, paths,
} from "../api";
import {
  formatDuration, formatMetric, formatNumber, formatParameter, plural, timeOf, toNumber, words,
} from "../format";
import { ApiError, LostError, problemFrom, request, stream, whenConnected } from "../http";
import { useLive, useNow } from "../live";
import { lastLines, readable } from "../log";
import { usefulRange } from "../progress";
import { whyLines } from "../why";
import { Dialog, Loading, ProblemBox, Segments, StateBadge, StateMark, Toggle } from "./basics";
import { Chart, Note, type Theme, axes, padded, zoomMemory } from "./chart";
import { drawLevel } from "./history-chart";

interface Props { study: Study; number: number; canEdit: boolean; open: (trial: number | null) => void }

export function TrialPanel({ study, number, canEdit, open }: Props) {
  const [over, setOver] = useState(false);
  const live = useLive<Trial>(paths.trial(study.project, study.name, number), { hold: false, gapMs: over ? 30_000 : 1_200 });
  const trial = live.data;
  const final = trial !== null && FINAL_TRIAL.has(trial.state);
  useEffect(() => setOver(final), [final]);
  const heading = useRef<HTMLHeadingElement>(null);
  const panel = useRef<HTMLElement>(null);

  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, []);
  useLayoutEffect(() => {
    const keys = (event: KeyboardEvent) => {
      const target = event.target as Element;
      if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) return;
      if (target.closest("input, select, textarea, pre, [role=tablist]")) return;
      if (event.key === "Escape") open(null);
      else if (event.key === "ArrowLeft" && number > 1) open(number - 1);
      else if (event.key === "ArrowRight" && number < study.trials.total) open(number + 1);
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [number, study.trials.total, open]);

  return (
    <aside class="panel" ref={panel} aria-labelledby="trial-heading">
      <header>
        <h2 id="trial-heading" tabIndex={-1} ref={heading}>Trial {number}</h2>
        {trial && <StateBadge state={trial.state} trial />}
        {study.best?.number === number && <span class="badge best-badge">the best</span>}
        <div class="buttons">
          <button type="button" class="quiet icon" aria-label="Previous trial" title="Previous trial (←)" disabled={number <= 1} onClick={() => open(number - 1)}>‹</button>
          <button type="button" class="quiet icon" aria-label="Next trial" title="Next trial (→)" disabled={number >= study.trials.total} onClick={() => open(number + 1)}>›</button>
          <button type="button" class="quiet icon" aria-label="Close the trial" title="Close (Esc)" onClick={() => open(null)}>×</button>
        </div>
      </header>
      <div class="panel-body">
        {live.error && <ProblemBox problem={live.error.problem} />}
        {!trial && !live.error && <Loading what="the trial" />}
        {trial && <TrialBody study={study} trial={trial} canEdit={canEdit} reload={live.reload} />}
      </div>
    </aside>
  );
}

function TrialBody({ study, trial, canEdit, reload }: { study: Study; trial: Trial; canEdit: boolean; reload: () => void }) {
  const objective = study.objectives[0];
  const best = study.best && study.best.number !== trial.number ? study.best : null;
  const names = useMemo(() => {
    const all = new Set([...(study.spec?.parameters ?? []).map((p) => p.name), ...Object.keys(trial.parameters)]);
    return [...all].filter((name) => trial.parameters[name] !== undefined || best?.parameters[name] !== undefined);
  }, [study.spec, trial.parameters, best]);
  const metricNames = [...new Set([...study.objectives.map((o) => o.metric), ...Object.keys(trial.metrics)])]
    .filter((name) => trial.metrics[name] !== undefined);
  const running = !FINAL_TRIAL.has(trial.state);
  const now = useNow(running ? 1_000 : null);
  const startMs = timeOf(trial.started_at);
  const endMs = timeOf(trial.finished_at);
  const facts = [
    trial.budget === null ? "" : `${study.spec?.budget?.name ?? "budget"} ${formatNumber(trial.budget)}`,
    Number.isNaN(startMs) ? "not started" : `${running ? "running for" : "took"} ${formatDuration((Number.isNaN(endMs) ? now : endMs) - startMs)}`,
    trial.client ? `held by ${trial.client}` : "",
  ].filter(Boolean);

  return (
    <>
      <div class="trial-top">
        <p class="figure" data-testid="trial-value">
          {trial.value === null ? <span class="none">no value{running ? " yet" : ""}</span> : formatMetric(trial.value, 6)}
          <small>{objective?.metric}</small>
        </p>
        {running && trial.state !== "stopping" && canEdit && <StopButton study={study} trial={trial} reload={reload} />}
      </div>
      <p class="under">{facts.join(" · ")}</p>
      {trial.why?.stop && <StopStory stop={trial.why.stop} forecast={trial.why.forecast} study={study} />}
      {!trial.why?.stop && trial.state !== "succeeded" && (trial.message || trial.reason) && (
        <p class={`story s-${trial.state}`}><StateMark state={trial.state} /><span>{trial.message ?? words(trial.reason)}</span></p>
      )}

      <Why lines={whyLines(trial, study.objectives)} />

      <TrialCurve study={study} trial={trial} />

      <div class="two">
        <section>
          <h3>Parameters</h3>
          <table class="small">
            <thead class={best ? "" : "sr"}><tr><th scope="col">Name</th><th scope="col" class="num">This trial</th>{best && <th scope="col" class="num">Best</th>}</tr></thead>
            <tbody>
              {names.map((name) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td class="num" title={String(trial.parameters[name] ?? "")}>{formatParameter(trial.parameters[name])}</td>
                  {best && <td class="num dim">{formatParameter(best.parameters[name])}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
        {metricNames.length > 0 && (
          <section>
            <h3>Metrics</h3>
            <table class="small">
              <thead class={best ? "" : "sr"}><tr><th scope="col">Name</th><th scope="col" class="num">This trial</th>{best && <th scope="col" class="num">Best</th>}</tr></thead>
              <tbody>
                {metricNames.map((name) => (
                  <tr key={name}>
                    <th scope="row">{name}</th>
                    <td class="num">{formatMetric(trial.metrics[name])}</td>
                    {best && <td class="num dim">{formatMetric(best.metrics[name])}</td>}
                  </tr>
                ))}
              </tbody>
            </table>
          </section>
        )}
      </div>

      {trial.attempts.length > 0 && (
        <section>
          <h3>{trial.attempts.length === 1 ? "Attempt" : "Attempts"}</h3>
          <ol class="attempts">
            {trial.attempts.map((attempt) => <AttemptLine key={attempt.number} attempt={attempt} now={now} />)}
          </ol>
        </section>
      )}

      {study.runs_trials && trial.attempts.length > 0
        ? <Log study={study} number={trial.number} running={running} />
        : !study.runs_trials && <p class="hint">An outside worker runs this trial and keeps its log.</p>}
    </>
  );
}

/** What proposed it and what it expected. */
function Why({ lines }: { lines: readonly string[] }) {
  if (lines.length === 0) return null;
  return (
    <section aria-label="Why">
      <h3>Why these parameters</h3>
      <ul class="reasons">{lines.map((line) => <li key={line}>{line}.</li>)}</ul>
    </section>
  );
}

function StopStory({ stop, forecast, study }: { stop: StopDecision; forecast: Forecast | undefined; study: Study }) {
  const goal = study.objectives.find((o) => o.metric === stop.metric)?.goal ?? study.objectives[0]?.goal;
  const value = toNumber(stop.value);
  const threshold = toNumber(stop.threshold);
  const relation = Number.isNaN(threshold) ? null
    : !Number.isFinite(value) ? "not comparable with"
      : value < threshold ? "below" : value > threshold ? "above" : "equal to";
  return (
    <div class="story s-stopped" data-testid="stop-story">
      <StateMark state="stopped" />
      <div>
        <p>
          Stopped early by the <strong>{words(stop.rule)}</strong> rule at step <strong>{formatNumber(stop.step)}</strong>:{" "}
          {stop.metric} was <strong>{formatMetric(stop.value)}</strong>
          {relation && <>, {relation} the threshold <strong>{formatMetric(stop.threshold)}</strong></>}.
        </p>
        <p class="dim">
          {goal === "maximize" ? "Higher is better" : "Lower is better"}
          {stop.compared ? `; compared with ${plural(stop.compared, "trial")}` : ""}.
          {stop.message && ` The rule says: ${stop.message}`}
          {forecast && ` By what ${plural(forecast.trials, "whole trial")} did from there, it would have ended at about ${formatMetric(forecast.value)}; the algorithm learns from that.`}
        </p>
      </div>
    </div>
  );
}

function StopButton({ study, trial, reload }: { study: Study; trial: Trial; reload: () => void }) {
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const stop = async () => {
    setProblem(null);
    try {
      await request<Trial>("POST", paths.stopTrial(study.project, study.name, trial.number));
      setAsking(false);
      reload();
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  return (
    <>
      <button type="button" onClick={() => setAsking(true)}>Stop trial…</button>
      {asking && (
        <Dialog title={`Stop trial ${trial.number}?`} onClose={() => setAsking(false)}>
          <p>Its program is asked to end. What it measured so far is kept and counts.</p>
          {problem && <ProblemBox problem={problem} />}
          <div class="buttons">
            <button type="button" onClick={() => setAsking(false)} autofocus>Let it run</button>
            <button type="button" class="danger solid" onClick={() => void stop()}>Stop the trial</button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function AttemptLine({ attempt, now }: { attempt: Attempt; now: number }) {
  const startMs = timeOf(attempt.started_at);
  const endMs = timeOf(attempt.finished_at);
  const live = attempt.state === "starting" || attempt.state === "running";
  const good = attempt.state === "exited" && attempt.exit_code === 0;
  /* Ended because it was told to: no fault of the program's. */
  const told = /^(stopped_by|study_)/.test(attempt.reason ?? "");
  const ending = live ? attempt.state
    : attempt.exit_code !== null ? `exit code ${attempt.exit_code}`
      : attempt.signal !== null ? `signal ${attempt.signal}` : attempt.state;
  return (
    <li>
      <StateMark state={live ? "running" : good ? "succeeded" : told ? "stopped" : "failed"} />
      <div>
        <strong>{attempt.number}</strong> {ending}{attempt.reason && !good && `, ${words(attempt.reason)}`}
        <small>
          {formatDuration((Number.isNaN(endMs) ? now : endMs) - startMs)}
          {attempt.gpus && attempt.gpus.length > 0 && ` · GPU ${attempt.gpus.join(", ")}`}
          {live && attempt.pid ? ` · process ${attempt.pid}` : ""}
        </small>
        {attempt.message && <p>{attempt.message}</p>}
      </div>
    </li>
  );
}

function TrialCurve({ study, trial }: { study: Study; trial: Trial }) {
  const running = !FINAL_TRIAL.has(trial.state);
  const objective = study.objectives[0]?.metric ?? "";
  const [chosen, setChosen] = useState<string | null>(null);
  const [log, setLog] = useState(false);
  const live = useLive<MeasurementPage>(
    paths.measurements(study.project, study.name, trial.number, { points: 500, page_size: 1000 }),
    { hold: false, gapMs: running ? 1_500 : 60_000 });
  const measurements = live.data?.measurements ?? [];
  const names = useMemo(() => {
    const seen = new Set<string>();
    for (const m of measurements) for (const key of Object.keys(m.metrics)) seen.add(key);
    return [...seen].sort((a, b) => Number(b === objective) - Number(a === objective));
  }, [live.data, objective]);
  const metric = chosen ?? (names.includes(objective) ? objective : names[0]) ?? objective;
  const stop = trial.why?.stop && trial.why.stop.metric === metric ? trial.why.stop : null;

  const view = useMemo(() => {
    const with_ = measurements.filter((m) => m.metrics[metric] !== undefined);
    const ys = with_.map((m) => toNumber(m.metrics[metric]));
    const goal = study.objectives.find((o) => o.metric === metric)?.goal ?? "minimize";
    const levels = stop && Number.isFinite(toNumber(stop.threshold)) ? [toNumber(stop.threshold)] : [];
    const range = usefulRange([...ys, ...levels], goal);
    const lowest = Math.min(...levels, range.min);
    const highest = Math.max(...levels, range.max);
    const data: uPlot.AlignedData = [with_.map((m) => m.step), ys.map((y) => (Number.isFinite(y) ? y : null))];
    return { data, min: lowest, max: highest, positive: ys.length > 0 && ys.every((y) => !(y <= 0)), count: ys.length };
  }, [live.data, metric, stop?.threshold]);
  const box = useMemo(() => ({ now: { view, stop, metric } }), []);
  box.now = { view, stop, metric };
  const logOn = log && view.positive;

  if (live.error) return <ProblemBox problem={live.error.problem} />;
  if (view.count === 0)
    return running ? <p class="hint">No measurements yet.</p> : null;

  const options = (theme: Theme): Omit<uPlot.Options, "width" | "height"> => {
    let note: Note;
    return {
      scales: {
        x: { time: false, range: (_u, min, max) => {
          if (min === null || max === null) return [0, 1];
          const end = box.now.stop ? Math.max(max, box.now.stop.step) : max;
          return min === end ? [min - 1, end + 1] : [min, end];
        } },
        y: { distr: logOn ? 3 : 1, range: () => padded(box.now.view.min, box.now.view.max, logOn) },
      },
      axes: axes(theme, "step"),
      legend: { show: false },
      cursor: { y: false, points: { size: 7, fill: theme.state(trial.state), stroke: theme.surface }, drag: { x: true, y: false, dist: 6 } },
      series: [{}, {
        stroke: theme.state(trial.state), width: 1.8,
        points: { show: (u) => u.data[0].length < 40, size: 5, fill: theme.state(trial.state) },
      }],
      plugins: [zoomMemory],
      hooks: {
        init: [(u) => { note = new Note(u); }],
        setCursor: [(u) => {
          const { idx, left = -1, top = 0 } = u.cursor;
          const value = idx === null || idx === undefined || left < 0 ? null : u.data[1]![idx];
          if (value === null || value === undefined) return note.hide();
          note.show(u, left, top, [`${box.now.metric} ${formatNumber(value)}`, `step ${formatNumber(u.data[0][idx!]!)}`]);
        }],
        draw: [(u) => {
          const decided = box.now.stop;
          if (!decided) return;
          if (decided.threshold !== null)
            drawLevel(u, theme.state("stopped"), toNumber(decided.threshold), `threshold ${formatMetric(decided.threshold)}`);
          drawStop(u, theme, decided);
        }],
      },
    };
  };

  return (
    <section>
      <div class="section-head">
        <h3>Curve</h3>
        <div class="tools">
          {view.positive && <Toggle label="Log scale" on={log} onChange={setLog} />}
          {names.length > 1 && names.length <= 3 &&
            <Segments label="Metric" value={metric} options={names.map((n) => [n, n] as const)} onChange={setChosen} />}
          {names.length > 3 && (
            <select aria-label="Metric" value={metric} onChange={(event) => setChosen(event.currentTarget.value)}>
              {names.map((n) => <option key={n} value={n}>{n}</option>)}
            </select>
          )}
        </div>
      </div>
      <Chart label={`${metric} of trial ${trial.number}, ${plural(view.count, "point")}`} data={view.data} options={options}
        keys={[metric, logOn, trial.state]} height={200} redraw={`${stop?.step}`} />
    </section>
  );
}

/** The step at which the rule decided. */
function drawStop(u: uPlot, theme: Theme, stop: StopDecision): void {
  const { ctx, bbox } = u;
  const px = uPlot.pxRatio;
  const value = toNumber(stop.value);
  if (!Number.isFinite(value)) return;
  const x = u.valToPos(stop.step, "x", true);
  const y = u.valToPos(value, "y", true);
  if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) return;
  const side = 9 * px;
  ctx.save();
  ctx.fillStyle = theme.state("stopped");
  ctx.strokeStyle = theme.surface;
  ctx.lineWidth = 1.5 * px;
  ctx.fillRect(x - side / 2, y - side / 2, side, side);
  ctx.strokeRect(x - side / 2, y - side / 2, side, side);
  ctx.restore();
}

const TAIL_LINES = 500;
const KEPT_LINES = 5_000;

function Log({ study, number, running }: { study: Study; number: number; running: boolean }) {
  const [text, setText] = useState<string | null>(null);
  const [follow, setFollow] = useState(running);
  const [wrap, setWrap] = useState(true);
  const [problem, setProblem] = useState<Problem | null>(null);
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  const following = follow && running;

  useEffect(() => {
    const end = new AbortController();
    void (async () => {
      while (!end.signal.aborted) {
        await whenConnected(end.signal);
        let raw = "";
        let timer: ReturnType<typeof setTimeout> | undefined;
        const show = () => {
          timer = undefined;
          if (!end.signal.aborted) setText(lastLines(readable(raw), KEPT_LINES));
        };
        try {
          const path = paths.logs(study.project, study.name, number, { tail: TAIL_LINES, follow: following || null });
          await stream(path, end.signal, (piece) => {
            raw = lastLines(raw + piece, KEPT_LINES);
            timer ??= setTimeout(show, 100);
          });
          clearTimeout(timer);
          show();
          setProblem(null);
          return;
        } catch (error) {
          clearTimeout(timer);
          if (end.signal.aborted) return;
          if (error instanceof ApiError) {
            setProblem(error.problem);
            return;
          }
          if (!(error instanceof LostError)) throw error;
        }
      }
    })();
    return () => end.abort();
  }, [study.project, study.name, number, following, running]);

  useEffect(() => {
    const element = box.current;
    if (element && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [text]);

  return (
    <section>
      <div class="section-head">
        <h3>Log</h3>
        <div class="tools">
          {running && <Toggle label="Follow" on={follow} onChange={setFollow} />}
          <Toggle label="Wrap" on={wrap} onChange={setWrap} />
        </div>
      </div>
      {problem && <ProblemBox problem={problem} />}
      {text === null && !problem && <Loading what="the log" />}
      {text === "" && <p class="hint">The program has written nothing{running ? " yet" : ""}.</p>}
      {text !== null && text !== "" && (
        <pre ref={box} class={`log${wrap ? " wrap" : ""}`} tabIndex={0} aria-label={`Log of trial ${number}`}
          onScroll={(event) => {
            const e = event.currentTarget;
            atEnd.current = e.scrollHeight - e.scrollTop - e.clientHeight < 24;
          }}>{text}</pre>
      )}
    </section>
  );
}
