/** One study, live: where it stands, what can be done, its charts, trials, events and settings. */
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import {
  type Advice, type Constraint, type Curves, type Curve, FINAL_STUDY, FINAL_TRIAL, type Problem, type Study, type TrialState, paths,
} from "../api";
import {
  formatAge, formatDuration, formatMetric, formatNumber, formatParameter, parseDuration, plural, timeOf, toNumber, words,
} from "../format";
import { type HistoryTrial, TrialHistory } from "../history";
import { type ApiError, problemFrom, request } from "../http";
import { useLive, useNow, usePulse } from "../live";
import { CopyButton, Dialog, Empty, Loading, ProblemBox, StateBadge, StateMark, TrialBar } from "../parts/basics";
import { CurvesChart } from "../parts/curves-chart";
import { Events } from "../parts/events";
import { HistoryChart } from "../parts/history-chart";
import { Importance } from "../parts/importance";
import { LimitsDialog } from "../parts/limits";
import { Parallel } from "../parts/parallel";
import { ParetoChart } from "../parts/pareto-chart";
import { Setup } from "../parts/setup";
import { TrialPanel } from "../parts/trial-panel";
import { TrialTable } from "../parts/trial-table";
import { activeCount, estimateLeft, finishedCount, keeps, pointsPerCurve } from "../progress";
import { go, linkTo } from "../route";

interface Props { project: string; name: string; trial: number | null; canEdit: boolean }

const NONE: readonly Constraint[] = [];

type Tab = "trials" | "parameters" | "events" | "setup";
const TABS: readonly (readonly [Tab, string])[] = [["trials", "Trials"], ["parameters", "Parameters"], ["events", "Events"], ["setup", "Setup"]];

export function StudyView({ project, name, trial, canEdit }: Props) {
  const live = useLive<Study>(paths.study(project, name));
  const study = live.data;
  const open = useCallback((number: number | null) => go(linkTo(project, name, number)), [project, name]);

  if (!study) {
    return (
      <main id="main" class="page">
        {live.error
          ? <><ProblemBox problem={live.error.problem} /><p><a href={linkTo(project)}>All studies</a></p></>
          : <Loading what="the study" />}
      </main>
    );
  }
  return <LiveStudy study={study} trial={trial} canEdit={canEdit} error={live.error} open={open} reload={live.reload} />;
}

interface LiveProps {
  study: Study;
  trial: number | null;
  canEdit: boolean;
  error: ApiError | null;
  open: (trial: number | null) => void;
  reload: () => void;
}

function LiveStudy({ study, trial, canEdit, error, open, reload }: LiveProps) {
  const { project, name } = study;
  const final = FINAL_STUDY.has(study.state);
  const active = activeCount(study) > 0;
  const now = useNow(final ? null : 1_000);
  const [tab, setTab] = useState<Tab>("trials");
  const [objectiveIndex, setObjectiveIndex] = useState(0);
  const objective = study.objectives[objectiveIndex] ?? study.objectives[0] ?? { metric: "value", goal: "minimize" as const, target: null };
  const several = study.objectives.length > 1;

  const [rows, setRows] = useState<HistoryTrial[] | null>(null);
  const constraints = study.spec?.constraints ?? NONE;
  const fields = `number,state,value,finished_at${several || constraints.length > 0 ? ",metrics" : ""}`;
  const history = useMemo(() => new TrialHistory(project, name, fields), [project, name, fields]);
  usePulse((signal) => history.refresh(signal, setRows), [history], study, active ? 5_000 : null);
  const shownRows = useMemo(() => {
    if (!rows) return [];
    if (!several && constraints.length === 0) return rows;
    return rows.map((row) => ({
      ...row,
      value: several ? toNumber(row.trial.metrics?.[objective.metric]) : row.value,
      feasible: !FINAL_TRIAL.has(row.state) || keeps(row.trial.metrics, constraints),
    }));
  }, [rows, several, objective.metric, constraints]);

  const metrics = useMemo(() => {
    const names = new Set(study.objectives.map((o) => o.metric));
    for (const key of Object.keys(study.best?.metrics ?? {})) names.add(key);
    return [...names];
  }, [study.objectives, study.best]);
  const [chosenMetric, setChosenMetric] = useState<string | null>(null);
  const metric = chosenMetric ?? objective.metric;
  const curves = useCurves(study, metric, active);

  useEffect(() => {
    const limit = study.limits.trials;
    const progress = final ? study.state : `${finishedCount(study)}${limit ? `/${limit}` : ""}`;
    document.title = `${progress} · ${name} – Assay`;
  });

  return (
    <main id="main" class={`page study${trial === null ? "" : " with-panel"}`}>
      <div class="study-main">
        <StudyHead study={study} canEdit={canEdit} reload={reload} />
        {error && <ProblemBox problem={error.problem} />}
        <Facts study={study} rows={rows ?? []} now={now} />
        {study.trials.total > 0 && <AdviceLine study={study} active={active} />}
        {several && (
          <label class="objective-choice">Objective{" "}
            <select value={objectiveIndex} onChange={(event) => setObjectiveIndex(Number(event.currentTarget.value))}>
              {study.objectives.map((o, i) => <option key={o.metric} value={i}>{o.metric} ({o.goal})</option>)}
            </select>
          </label>
        )}
        {study.trials.total === 0 ? <NoTrials study={study} /> : (
          <div class="charts">
            {several && <ParetoChart rows={shownRows} objectives={study.objectives} onOpen={open} />}
            <HistoryChart rows={shownRows} metric={objective.metric} goal={objective.goal} target={objective.target} onOpen={open} />
            <CurvesChart curves={curves} metric={metric} metrics={metrics} goal={goalOf(study, metric)}
              best={study.best?.number ?? null} selected={trial} onMetric={setChosenMetric} onOpen={open} />
          </div>
        )}
        <div class="tabs" role="tablist" aria-label="Details" onKeyDown={(event) => {
          const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
          if (step === 0) return;
          const index = TABS.findIndex(([key]) => key === tab);
          const next = TABS[(index + step + TABS.length) % TABS.length]![0];
          setTab(next);
          document.getElementById(`tab-${next}`)?.focus();
        }}>
          {TABS.map(([key, text]) => (
            <button key={key} id={`tab-${key}`} type="button" role="tab" aria-selected={tab === key} aria-controls="tab-panel"
              tabIndex={tab === key ? 0 : -1} onClick={() => setTab(key)}>
              {text}{key === "trials" && <small>{formatNumber(study.trials.total)}</small>}
            </button>
          ))}
        </div>
        <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
          {tab === "trials" && <TrialTable study={study} selected={trial} open={open} />}
          {tab === "parameters" && (
            <div class="stack">
              <Importance study={study} metric={objective.metric} active={active} />
              <Parallel study={study} objective={objectiveIndex} active={active} open={open} />
            </div>
          )}
          {tab === "events" && <Events study={study} active={active} />}
          {tab === "setup" && <Setup study={study} />}
        </div>
      </div>
      {trial !== null && <TrialPanel key={trial} study={study} number={trial} canEdit={canEdit} open={open} />}
    </main>
  );
}

/** Whether going on is worth it; nothing stops by it. */
function AdviceLine({ study, active }: { study: Study; active: boolean }) {
  const path = paths.advice(study.project, study.name);
  const [advice, setAdvice] = useState<Advice | null>(null);
  const memory = useMemo(() => ({ etag: null as string | null }), [path]);
  usePulse(async (signal) => {
    const answer = await request<Advice>("GET", path, { etag: memory.etag, signal });
    if (signal.aborted || answer.status === 304) return;
    memory.etag = answer.etag;
    setAdvice(answer.data);
  }, [path], study, active ? 5_000 : null);
  if (!advice || advice.advice === "too_early") return null;
  return <p class={`advice ${advice.advice}`} data-testid="advice"><span>Advice</span> {advice.sentence}</p>;
}

function goalOf(study: Study, metric: string) {
  const own = study.objectives.find((o) => o.metric === metric);
  if (own) return own.goal;
  return /loss|error|rmse|mae|latency|perplexity|cost|time/i.test(metric) ? "minimize" as const : "maximize" as const;
}

function useCurves(study: Study, metric: string, active: boolean): Curve[] {
  const { project, name } = study;
  const [found, setFound] = useState<{ metric: string; curves: Curve[] }>({ metric, curves: [] });
  const points = pointsPerCurve(Math.max(study.limits.trials ?? 0, study.trials.total));
  const path = paths.curves(project, name, { metric, points });
  const memory = useMemo(() => ({ etag: null as string | null }), [path]);
  usePulse(async (signal) => {
    const answer = await request<Curves>("GET", path, { etag: memory.etag, signal });
    if (signal.aborted || answer.status === 304) return;
    memory.etag = answer.etag;
    setFound({ metric, curves: answer.data.curves });
  }, [path], study, active ? 1_500 : null);
  return useMemo(() => (found.metric === metric ? found.curves : []), [found, metric]);
}

type Verb = "pause" | "resume" | "cancel";

function StudyHead({ study, canEdit, reload }: { study: Study; canEdit: boolean; reload: () => void }) {
  const [busy, setBusy] = useState<Verb | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asking, setAsking] = useState<"cancel" | "limits" | null>(null);

  const act = async (verb: Verb) => {
    setBusy(verb);
    setProblem(null);
    setAsking(null);
    try {
      await request<Study>("POST", paths.verb(study.project, study.name, verb));
    } catch (error) {
      setProblem(problemFrom(error));
    } finally {
      setBusy(null);
      reload();
    }
  };

  const live = !FINAL_STUDY.has(study.state);
  const running = study.trials.running + study.trials.stopping;
  return (
    <div class="study-head">
      <div class="title">
        <h1>{study.name}</h1>
        <StateBadge state={study.state} />
        {study.reason && <span class="reason">{words(study.reason)}</span>}
      </div>
      {live && canEdit && (
        <div class="buttons">
          {(study.state === "running") && (
            <button type="button" disabled={busy !== null} onClick={() => void act("pause")}>{busy === "pause" ? "Pausing…" : "Pause"}</button>
          )}
          {study.state === "paused" && (
            <button type="button" class="primary" disabled={busy !== null} onClick={() => void act("resume")}>{busy === "resume" ? "Resuming…" : "Resume"}</button>
          )}
          <button type="button" onClick={() => setAsking("limits")}>Limits…</button>
          {study.state !== "stopping" && (
            <button type="button" class="danger" disabled={busy !== null} onClick={() => setAsking("cancel")}>Cancel…</button>
          )}
        </div>
      )}
      {study.message && <p class="message">{study.message}</p>}
      {problem && <ProblemBox problem={problem} />}
      {asking === "cancel" && (
        <Dialog title={`Cancel ${study.name}?`} onClose={() => setAsking(null)}>
          <p>
            No further trial starts{running > 0 ? `, and ${plural(running, "running trial")} will be stopped` : ""}.
            Results so far are kept. A cancelled study can’t be resumed; to go on later, pause it instead.
          </p>
          <div class="buttons">
            <button type="button" onClick={() => setAsking(null)} autofocus>Keep it</button>
            <button type="button" class="danger solid" onClick={() => void act("cancel")}>Cancel the study</button>
          </div>
        </Dialog>
      )}
      {asking === "limits" && <LimitsDialog study={study} onClose={() => setAsking(null)} onDone={reload} />}
    </div>
  );
}

function Facts({ study, rows, now }: { study: Study; rows: readonly HistoryTrial[]; now: number }) {
  const { best, limits, trials } = study;
  const final = FINAL_STUDY.has(study.state);
  const done = finishedCount(study);
  const objective = study.objectives[0];
  const startedMs = timeOf(study.started_at ?? study.created_at);
  const endMs = final ? timeOf(study.finished_at) : now;
  const elapsedMs = endMs - startedMs;
  const limitMs = parseDuration(limits.time);
  const ends = useMemo(() => rows.map((row) => row.finishedMs), [rows]);
  const leftMs = estimateLeft(study, ends, now);
  const target = objective?.target ?? null;
  const value = toNumber(best?.value);

  return (
    <div class="facts">
      <section class="fact best-fact" aria-label="Best trial">
        <h2>Best {objective && <span>{objective.metric}, {objective.goal}</span>}</h2>
        {best ? (
          <>
            <p class="figure" data-testid="best-value">
              {formatMetric(best.value, 6)}
              <a href={linkTo(study.project, study.name, best.number)}>trial {best.number}</a>
              <CopyButton text={JSON.stringify(best.parameters)} label="Copy parameters" />
            </p>
            <dl class="pairs">
              {Object.entries(best.parameters).map(([key, v]) => (
                <div key={key}><dt>{key}</dt><dd title={String(v)}>{formatParameter(v)}</dd></div>
              ))}
            </dl>
          </>
        ) : <p class="figure none">{study.objectives.length > 1 ? "several objectives" : "none yet"}</p>}
        {target !== null && Number.isFinite(value) && (
          <p class="under">Target {formatNumber(target)}{" "}
            {(objective!.goal === "minimize" ? value <= target : value >= target) ? "reached" : `· ${formatNumber(Math.abs(target - value), 3)} to go`}
          </p>
        )}
      </section>
      <section class="fact" aria-label="Progress">
        <h2>Trials</h2>
        <p class="figure" data-testid="progress">{formatNumber(done)}{limits.trials ? <small>of {formatNumber(limits.trials)}</small> : null}</p>
        <TrialBar counts={trials} limit={limits.trials ?? null} />
        <ul class="counts">
          {(["running", "queued", "paused", "stopping", "succeeded", "stopped", "infeasible", "failed", "cancelled"] as TrialState[])
            .filter((state) => trials[state] > 0)
            .map((state) => (
              <li key={state} title={state === "stopped" ? "stopped early" : state}>
                <StateMark state={state} />{formatNumber(trials[state])} {state === "stopped" ? "stopped early" : state}
                {state === "running" && limits.parallel ? <span class="dim"> of {limits.parallel}</span> : null}
              </li>
            ))}
        </ul>
      </section>
      <section class="fact" aria-label="Time">
        <h2>Time</h2>
        {final ? (
          <p class="figure">{formatDuration(elapsedMs)}</p>
        ) : leftMs !== null ? (
          <p class="figure" data-testid="eta"><small>about</small>{formatDuration(Math.max(1_000, leftMs))}<small>left</small></p>
        ) : (
          <p class="figure none">{study.state === "paused" ? "paused" : study.state === "stopping" ? "stopping" : done === 0 ? "just begun" : "no end set"}</p>
        )}
        <ul class="counts plain">
          {!final && <li>{formatDuration(elapsedMs)} since the start{limitMs !== null && `, ${formatDuration(limitMs)} allowed`}</li>}
          {final && study.finished_at && <li>finished {ago(Date.now() - timeOf(study.finished_at))}</li>}
          {limits.gpu_hours ? <li>limit {formatNumber(limits.gpu_hours)} GPU-hours</li> : null}
          {limits.failed_trials ? <li>{formatNumber(trials.failed)} of {plural(limits.failed_trials, "failure")} allowed</li> : null}
          <li>{study.algorithm.name}{study.early_stopping ? ` with ${words(study.early_stopping.name)} early stopping` : ", no early stopping"}</li>
        </ul>
      </section>
    </div>
  );
}

function ago(ms: number): string {
  const age = formatAge(ms);
  return age === "now" ? "just now" : `${age} ago`;
}

function NoTrials({ study }: { study: Study }) {
  if (FINAL_STUDY.has(study.state)) return <Empty title="This study ended without a trial">{study.message && <p>{study.message}</p>}</Empty>;
  if (study.runs_trials)
    return <Empty title="Waiting for the first trial"><p>It appears here as soon as a slot is free.</p></Empty>;
  return (
    <Empty title="Waiting for a worker">
      <p>This study runs no trials itself: workers ask for parameters and tell their results. Ask for the first:</p>
      <pre>{`curl ${location.origin}${paths.study(study.project, study.name)}/suggestions \\
  -H "Authorization: Bearer $ASSAY_TOKEN" -H "Content-Type: application/json" \\
  -d '{"count": 1, "client": "w1"}'`}</pre>
    </Empty>
  );
}
