/** Trials as comma-separated values (RFC 4180), one line each. Pure. */
import type { Trial } from "./api";

type Cell = string | number | boolean | null | undefined;

/** Texts that a spreadsheet would take for a formula get an apostrophe, so that they stay texts. */
function cell(value: Cell): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const safe = /^[=+\-@\t\r]/.test(value) && value !== "-inf" ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function trialsToCsv(trials: readonly Trial[]): string {
  const parameters = keys(trials.map((trial) => trial.parameters));
  const metrics = keys(trials.map((trial) => trial.metrics));
  const head = ["number", "state", "reason", "value", "steps", "started_at", "finished_at", "stop_rule", "stop_step", "stop_threshold",
    ...parameters.map((name) => `parameters.${name}`), ...metrics.map((name) => `metrics.${name}`)];
  const lines = trials.map((trial) => [
    trial.number, trial.state, trial.reason, trial.value, trial.steps, trial.started_at, trial.finished_at,
    trial.why?.stop?.rule, trial.why?.stop?.step, trial.why?.stop?.threshold,
    ...parameters.map((name) => trial.parameters[name]), ...metrics.map((name) => trial.metrics[name]),
  ]);
  return [head, ...lines].map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

function keys(records: readonly object[]): string[] {
  const seen = new Set<string>();
  for (const record of records) for (const key of Object.keys(record)) seen.add(key);
  return [...seen];
}
