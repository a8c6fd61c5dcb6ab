/** All studies of a project, live. */
import { useEffect, useRef, useState } from "preact/hooks";
import { FINAL_STUDY, STUDY_STATES, type Study, type StudyPage, type StudyState, paths } from "../api";
import { formatAge, formatDuration, formatMetric, formatNumber, plural, timeOf } from "../format";
import { useLive, useNow, useSettled } from "../live";
import { Empty, Loading, ProblemBox, StateBadge, TrialBar } from "../parts/basics";
import { EXAMPLE, NewStudy } from "../parts/new-study";
import { finishedCount } from "../progress";
import { linkTo } from "../route";

const PAGE_SIZE = 50;
const FIELDS = "name,project,state,reason,message,objectives,algorithm,limits,runs_trials,trials,best,created_at,started_at,finished_at";

export function Studies({ project, canEdit }: { project: string; canEdit: boolean }) {
  const [text, setText] = useState("");
  const [state, setState] = useState<StudyState | "">("");
  const [sort, setSort] = useState("-created_at");
  const [tokens, setTokens] = useState<string[]>([]);
  const [creating, setCreating] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const name = useSettled(text.trim().toLowerCase(), 200);
  const filtered = name !== "" || state !== "";
  useEffect(() => setTokens([]), [name, state, sort, project]);

  const path = paths.studies(project,
    { name, state, sort, page_size: PAGE_SIZE, page_token: tokens[tokens.length - 1], fields: FIELDS });
  const live = useLive<StudyPage>(path);
  const last = useRef<StudyPage | null>(null);
  if (live.data) last.current = live.data;
  const page = live.data ?? last.current;
  const now = useNow(10_000);

  useEffect(() => {
    document.title = "Studies – Assay";
    const focus = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);

  return (
    <main id="main" class="page">
      <div class="page-head">
        <h1>Studies</h1>
        {canEdit && <button class="primary" type="button" onClick={() => setCreating(true)}>New study</button>}
      </div>
      {creating && <NewStudy project={project} onClose={() => setCreating(false)} />}
      <div class="filters">
        <input ref={search} type="search" aria-label="Filter by the start of the name" placeholder="Name starts with…  ( / )"
          value={text} onInput={(event) => setText(event.currentTarget.value)} />
        <select aria-label="State" value={state} onChange={(event) => setState(event.currentTarget.value as StudyState | "")}>
          <option value="">All states</option>
          {STUDY_STATES.map((s) => <option key={s} value={s}>{s}</option>)}
        </select>
        <select aria-label="Order" value={sort} onChange={(event) => setSort(event.currentTarget.value)}>
          <option value="-created_at">Newest first</option>
          <option value="created_at">Oldest first</option>
          <option value="name">Name A–Z</option>
          <option value="-name">Name Z–A</option>
        </select>
      </div>
      {live.error && <ProblemBox problem={live.error.problem} />}
      {!page && !live.error && <Loading what="studies" />}
      {page && page.studies.length === 0 && (filtered ? (
        <Empty title="No study matches">
          <p>No study of this project has that name and state.</p>
          <button type="button" onClick={() => { setText(""); setState(""); }}>Clear the filter</button>
        </Empty>
      ) : (
        <FirstStudy project={project} canEdit={canEdit} onNew={() => setCreating(true)} />
      ))}
      {page && page.studies.length > 0 && (
        <div class={`study-list card${live.data ? "" : " stale"}`}>
          <div class="study-row head" aria-hidden="true">
            <span>Study</span><span>State</span><span>Progress</span><span>Best</span><span>Age</span>
          </div>
          <ul aria-label="Studies">
            {page.studies.map((study) => <li key={study.name}><StudyRow study={study} now={now} /></li>)}
          </ul>
        </div>
      )}
      {page && (tokens.length > 0 || page.next_page_token) && (
        <nav class="pager" aria-label="Pages of studies">
          <button type="button" disabled={tokens.length === 0} onClick={() => setTokens(tokens.slice(0, -1))}>Previous</button>
          <span>Page {tokens.length + 1}</span>
          <button type="button" disabled={!page.next_page_token}
            onClick={() => page.next_page_token && setTokens([...tokens, page.next_page_token])}>Next</button>
        </nav>
      )}
    </main>
  );
}

function StudyRow({ study, now }: { study: Study; now: number }) {
  const objective = study.objectives[0];
  const done = finishedCount(study);
  const limit = study.limits.trials ?? null;
  const running = study.trials.running + study.trials.stopping;
  const createdMs = timeOf(study.created_at);
  const tookMs = timeOf(study.finished_at) - timeOf(study.started_at ?? study.created_at);
  const final = FINAL_STUDY.has(study.state);
  return (
    <a class="study-row" href={linkTo(study.project, study.name)}>
      <span class="name">
        <strong>{study.name}</strong>
        <small>{study.algorithm.name}{!study.runs_trials && " · ask and tell"}{study.message && final && study.state !== "succeeded" ? ` · ${study.message}` : ""}</small>
      </span>
      <span class="state"><StateBadge state={study.state} /></span>
      <span class="progress">
        <TrialBar counts={study.trials} limit={limit} />
        <small>
          {formatNumber(done)}{limit ? ` of ${formatNumber(limit)}` : ""} {limit || done !== 1 ? "trials" : "trial"}
          {running > 0 && <span class="s-running"> · {formatNumber(running)} running</span>}
          {study.trials.failed > 0 && <span class="s-failed"> · {formatNumber(study.trials.failed)} failed</span>}
        </small>
      </span>
      <span class="best">
        {study.objectives.length > 1 ? <small>{plural(study.objectives.length, "objective")}</small> : study.best ? (
          <><strong>{formatMetric(study.best.value)}</strong><small>{study.best.metric}, trial {study.best.number}</small></>
        ) : <small>{objective ? `no ${objective.metric} yet` : "–"}</small>}
      </span>
      <span class="age" title={new Date(createdMs).toLocaleString()}>
        {formatAge(now - createdMs)}
        {final && Number.isFinite(tookMs) && <small>took {formatDuration(tookMs)}</small>}
      </span>
    </a>
  );
}

function FirstStudy({ project, canEdit, onNew }: { project: string; canEdit: boolean; onNew: () => void }) {
  return (
    <Empty title="No studies yet">
      <p>A study says what to tune, how to run one trial and when to stop. Save one as <code>study.yaml</code>:</p>
      <pre>{EXAMPLE}</pre>
      <p>and submit it:</p>
      <pre>{`curl ${location.origin}/v1/projects/${project}/studies \\
  -H "Authorization: Bearer $ASSAY_TOKEN" \\
  -H "Content-Type: application/yaml" --data-binary @study.yaml`}</pre>
      {canEdit && <p>or write it here: <button type="button" onClick={onNew}>New study</button></p>}
    </Empty>
  );
}
