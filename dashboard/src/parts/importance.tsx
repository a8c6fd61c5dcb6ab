/** How much each parameter mattered: bars, by one of two methods. */
import { useMemo, useState } from "preact/hooks";
import { type Importance as Answer, type Problem, type Study, paths } from "../api";
import { formatNumber, plural } from "../format";
import { ApiError, request } from "../http";
import { usePulse } from "../live";
import { Loading, ProblemBox, Segments } from "./basics";

interface Props { study: Study; metric: string; active: boolean }
type Method = "ped_anova" | "fanova";

const METHODS: readonly (readonly [Method, string])[] = [["fanova", "Whole space"], ["ped_anova", "Best trials"]];
const TOLD: Record<Method, string> = {
  fanova: "fANOVA: shares of the variance over the whole space that each parameter explains by itself.",
  ped_anova: "PED-ANOVA: how far the best tenth of the trials keeps to a part of each parameter’s range.",
};
const PAIRS_SHOWN = 5;

export function Importance({ study, metric, active }: Props) {
  const { project, name } = study;
  const [method, setMethod] = useState<Method>("fanova");
  const [found, setFound] = useState<{ path: string; answer: Answer } | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const path = paths.importance(project, name,
    { method, interactions: method === "fanova" ? true : null, metric: study.objectives.length > 1 ? metric : null });
  const memory = useMemo(() => ({ etag: null as string | null }), [path]);
  usePulse(async (signal) => {
    try {
      const answer = await request<Answer>("GET", path, { etag: memory.etag, signal });
      if (signal.aborted || answer.status === 304) return;
      memory.etag = answer.etag;
      setFound({ path, answer: answer.data });
      setProblem(null);
    } catch (error) {
      if (error instanceof ApiError && !signal.aborted) setProblem(error.problem);
      throw error;
    }
  }, [path], study, active ? 10_000 : null);
  const answer = found?.path === path ? found.answer : null;
  const pairs = (answer?.interactions ?? []).filter((pair) => pair.importance >= 0.005).slice(0, PAIRS_SHOWN);

  return (
    <section class="card importance" aria-label="Importance">
      <header>
        <h2>What mattered{study.objectives.length > 1 ? ` for ${metric}` : ""}</h2>
        <div class="tools"><Segments label="Method" value={method} options={METHODS} onChange={setMethod} /></div>
      </header>
      {problem && <ProblemBox problem={problem} />}
      {!answer && !problem && <Loading what="the importance of the parameters" />}
      {answer && answer.importance.length > 0 && (
        <>
          <Bars label="Importance of parameters" rows={answer.importance.map((row) => [row.parameter, row.importance] as const)} />
          {pairs.length > 0 && (
            <>
              <h3>Together, beyond each alone</h3>
              <Bars label="Interactions" most={(answer.importance[0]?.importance ?? 1) * (answer.explained ?? 1)} rows={pairs.map((pair) => [pair.parameters.join(" × "), pair.importance] as const)} />
            </>
          )}
        </>
      )}
      {answer?.message && <p class="hint">{answer.message}</p>}
      {answer && answer.importance.length > 0 && (
        <p class="hint">
          {TOLD[method]} From {plural(answer.trials, "trial")}
          {answer.explained !== null && `; together ${percent(answer.explained)} of it`}.
        </p>
      )}
    </section>
  );
}

const percent = (share: number): string => `${formatNumber(Math.round(1000 * share) / 10)} %`;

/** The full width is `most`, or the longest bar. */
function Bars({ label, rows, most = 0 }: { label: string; rows: readonly (readonly [string, number])[]; most?: number }) {
  const whole = Math.max(most, ...rows.map(([, share]) => share), 1e-12);
  return (
    <ul class="bars" aria-label={label}>
      {rows.map(([name, share]) => (
        <li key={name}>
          <span title={name}>{name}</span>
          <i><b style={{ width: `${(100 * share) / whole}%` }} /></i>
          <span class="num">{percent(share)}</span>
        </li>
      ))}
    </ul>
  );
}
