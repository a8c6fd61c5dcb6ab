/** What was submitted: the space, the algorithm, and the whole study file. */
import type { ParameterSpec, StoppingRule, Study } from "../api";
import { formatNumber, formatParameter, words } from "../format";

export function Setup({ study }: { study: Study }) {
  const parameters = study.spec?.parameters ?? [];
  const command = study.spec?.trial?.command;
  return (
    <div class="setup">
      {parameters.length > 0 && (
        <div class="table-box card">
          <table>
            <caption>Parameters</caption>
            <thead><tr><th scope="col">Name</th><th scope="col">Type</th><th scope="col">Range</th><th scope="col">Only when</th></tr></thead>
            <tbody>
              {parameters.map((p) => (
                <tr key={p.name}>
                  <th scope="row">{p.name}</th>
                  <td>{p.type}</td>
                  <td>{range(p)}</td>
                  <td>{p.when ? Object.entries(p.when).map(([k, v]) => `${k} is ${v.map(formatParameter).join(" or ")}`).join(", ") : ""}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <div class="card facts-list">
        <dl>
          <dt>Algorithm</dt><dd>{study.algorithm.name}<Settings settings={study.algorithm.settings} /></dd>
          <dt>Early stopping</dt><dd>{study.early_stopping ? <Rule rule={study.early_stopping} /> : "none"}</dd>
          <dt>Seed</dt><dd>{String(study.seed)}</dd>
          <dt>Trials run</dt><dd>{study.runs_trials ? "by Assay" : "by outside workers (ask and tell)"}</dd>
          {command && <><dt>Command</dt><dd><code class="wrap">{command.join(" ")}</code></dd></>}
        </dl>
      </div>
      {study.spec && (
        <details class="card">
          <summary>The whole study file</summary>
          <pre>{JSON.stringify(study.spec, null, 2)}</pre>
        </details>
      )}
    </div>
  );
}

function Settings({ settings }: { settings: Record<string, unknown> | undefined }) {
  const entries = Object.entries(settings ?? {});
  if (entries.length === 0) return null;
  return <span class="dim"> {entries.map(([key, value]) => `${key} ${JSON.stringify(value)}`).join(", ")}</span>;
}

function Rule({ rule }: { rule: StoppingRule }) {
  return (
    <>
      {words(rule.name)}<Settings settings={rule.settings} />
      {rule.rules?.map((one, i) => <>{i === 0 ? " of " : ", "}<Rule rule={one} /></>)}
    </>
  );
}

function range(p: ParameterSpec): string {
  if (p.values) return p.values.map(formatParameter).join(", ");
  if (p.type === "bool") return "true, false";
  if (p.min === undefined || p.max === undefined) return "";
  return `${formatNumber(p.min)} to ${formatNumber(p.max)}` +
    (p.step ? `, step ${formatNumber(p.step)}` : "") + (p.scale && p.scale !== "linear" ? `, ${p.scale} scale` : "");
}
