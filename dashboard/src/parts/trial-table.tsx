/** The trials, sorted, filtered and paged by the server: 10,000 of them cost no more than 50. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { FINAL_TRIAL, type Problem, type Study, TRIAL_STATES, type Trial, type TrialPage, type TrialState, paths } from "../api";
import { trialsToCsv } from "../csv";
import { STATE_WORDS, formatDuration, formatMetric, formatNumber, formatParameter, formatTime, timeOf, words } from "../format";
import { ApiError, get, problemFrom, request } from "../http";
import { useNow, usePulse } from "../live";
import { Empty, Loading, ProblemBox, StateMark } from "./basics";

const PAGE_SIZE = 50;
const FIELDS = "number,state,reason,parameters,metrics,value,budget,why,client,steps,started_at,finished_at";
type SortKey = "number" | "value" | "started_at";

interface Props { study: Study; selected: number | null; open: (trial: number | null) => void }

export function TrialTable({ study, selected, open }: Props) {
  const objective = study.objectives[0];
  const [sort, setSort] = useState<{ key: SortKey; down: boolean }>({ key: "number", down: true });
  const [states, setStates] = useState<readonly TrialState[]>([]);
  const [tokens, setTokens] = useState<string[]>([]);
  const [shown, setShown] = useState<{ path: string; page: TrialPage } | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const now = useNow(study.trials.running > 0 ? 1_000 : null);
  const sortText = (sort.down ? "-" : "") + sort.key;
  useEffect(() => setTokens([]), [sortText, states]);

  const path = paths.trials(study.project, study.name,
    { state: states, sort: sortText, page_size: PAGE_SIZE, page_token: tokens[tokens.length - 1], fields: FIELDS });
  const etag = useRef<{ path: string; value: string | null }>({ path: "", value: null });
  usePulse(async (signal) => {
    try {
      const answer = await request<TrialPage>("GET", path,
        { etag: etag.current.path === path ? etag.current.value : null, signal });
      if (signal.aborted) return;
      setError(null);
      if (answer.status === 304) return;
      etag.current = { path, value: answer.etag };
      setShown({ path, page: answer.data });
    } catch (cause) {
      if (cause instanceof ApiError && !signal.aborted) setError(cause);
      throw cause;
    }
  }, [path], study, study.trials.running > 0 ? 2_000 : null);

  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  /** Every page of what is shown now, in its order, as one file. */
  const save = async () => {
    setSaving(true);
    setProblem(null);
    try {
      const trials: Trial[] = [];
      let token: string | null = null;
      do {
        const from: string = paths.trials(study.project, study.name,
          { state: states, sort: sortText, page_size: 1000, page_token: token, fields: FIELDS });
        const answer: TrialPage = await get<TrialPage>(from);
        trials.push(...answer.trials);
        token = answer.next_page_token;
      } while (token !== null);
      download(`${study.name}-trials.csv`, trialsToCsv(trials));
    } catch (cause) {
      setProblem(problemFrom(cause));
    } finally {
      setSaving(false);
    }
  };

  const names = useMemo(() => {
    const declared = study.spec?.parameters?.map((p) => p.name);
    if (declared && declared.length > 0) return declared;
    const seen = new Set<string>();
    for (const trial of shown?.page.trials ?? []) for (const key of Object.keys(trial.parameters)) seen.add(key);
    return [...seen];
  }, [study.spec, shown]);

  const toggle = (state: TrialState) =>
    setStates(states.includes(state) ? states.filter((s) => s !== state) : [...states, state]);
  const present = TRIAL_STATES.filter((state) => study.trials[state] > 0 || states.includes(state));
  const head = (key: SortKey, text: string) => (
    <th scope="col" aria-sort={sort.key === key ? (sort.down ? "descending" : "ascending") : "none"} class={key === "value" ? "num" : ""}>
      <button type="button" onClick={() => setSort({ key, down: sort.key === key ? !sort.down : key !== "value" || objective?.goal === "maximize" })}>
        {text}<span aria-hidden="true">{sort.key === key ? (sort.down ? " ↓" : " ↑") : ""}</span>
      </button>
    </th>
  );
  const page = shown?.page;
  const first = tokens.length * PAGE_SIZE + 1;

  return (
    <div class="trials">
      <div class="trials-head">
        <div class="chips" role="group" aria-label="Show only these states">
          {present.length > 1 && present.map((state) => (
            <button key={state} type="button" class="chip" aria-pressed={states.includes(state)} onClick={() => toggle(state)}>
              <StateMark state={state} />{STATE_WORDS[state]} <small>{formatNumber(study.trials[state])}</small>
            </button>
          ))}
          {states.length > 0 && <button type="button" class="link" onClick={() => setStates([])}>show all</button>}
        </div>
        {study.trials.total > 0 && (
          <button type="button" class="toggle" disabled={saving} onClick={() => void save()}>{saving ? "Reading…" : "Download CSV"}</button>
        )}
      </div>
      {problem && <ProblemBox problem={problem} />}
      {error && <ProblemBox problem={error.problem} />}
      {!page && !error && <Loading what="trials" />}
      {page && page.trials.length === 0 && (states.length > 0 ? (
        <Empty title="No trial is in these states now">
          <button type="button" onClick={() => setStates([])}>Show all trials</button>
        </Empty>
      ) : <p class="hint">Trials are listed here once there are some.</p>)}
      {page && page.trials.length > 0 && (
        <div class={`table-box card${shown!.path === path ? "" : " stale"}`}>
          <table class="trial-table">
            <caption class="sr">Trials</caption>
            <thead>
              <tr>
                {head("number", "Trial")}
                <th scope="col">State</th>
                {head("value", objective?.metric ?? "Value")}
                {names.map((name) => <th key={name} scope="col" class="num">{name}</th>)}
                <th scope="col" class="num">Steps</th>
                {head("started_at", "Started")}
                <th scope="col" class="num">Took</th>
                <th scope="col">Why it ended</th>
              </tr>
            </thead>
            <tbody>
              {page.trials.map((trial) => (
                <tr key={trial.number} class={trial.number === selected ? "selected" : ""} data-trial={trial.number}
                  onClick={(event) => { if (!(event.target as Element).closest("a")) open(trial.number); }}>
                  <th scope="row">
                    <a href={`#/${encodeURIComponent(study.project)}/${encodeURIComponent(study.name)}/${trial.number}`}>{trial.number}</a>
                  </th>
                  <td class="nowrap"><StateMark state={trial.state} /> {STATE_WORDS[trial.state]}</td>
                  <td class={`num${study.best?.number === trial.number ? " gold" : ""}`}>
                    {study.best?.number === trial.number && <span class="sr">best: </span>}{formatMetric(trial.value)}
                  </td>
                  {names.map((name) => <td key={name} class="num">{trial.parameters[name] === undefined ? "" : formatParameter(trial.parameters[name])}</td>)}
                  <td class="num">{trial.steps === null || trial.steps === undefined ? "" : formatNumber(trial.steps)}</td>
                  <td class="nowrap">{trial.started_at ? formatTime(timeOf(trial.started_at), now) : ""}</td>
                  <td class="num">{took(trial, now)}</td>
                  <td class="why">{whyEnded(trial)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {page && (tokens.length > 0 || page.next_page_token) && (
        <nav class="pager" aria-label="Pages of trials">
          <button type="button" disabled={tokens.length === 0} onClick={() => setTokens(tokens.slice(0, -1))}>Previous</button>
          <span>{formatNumber(first)} to {formatNumber(first + page.trials.length - 1)}</span>
          <button type="button" disabled={!page.next_page_token || shown?.path !== path}
            onClick={() => page.next_page_token && setTokens([...tokens, page.next_page_token])}>Next</button>
        </nav>
      )}
    </div>
  );
}

function download(name: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function took(trial: Trial, now: number): string {
  const start = timeOf(trial.started_at);
  if (Number.isNaN(start)) return "";
  const end = timeOf(trial.finished_at);
  return formatDuration((Number.isNaN(end) ? now : end) - start);
}

function whyEnded(trial: Trial): string {
  const stop = trial.why?.stop;
  if (stop) {
    const level = stop.threshold === null ? "" : `, threshold ${formatMetric(stop.threshold, 4)}`;
    return `${words(stop.rule)} at step ${formatNumber(stop.step)}: ${formatMetric(stop.value, 4)}${level}`;
  }
  return FINAL_TRIAL.has(trial.state) && trial.state !== "succeeded" ? words(trial.reason) : "";
}
