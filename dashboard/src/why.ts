/** Why a trial has the parameters it has, in sentences. Pure. */
import type { Metric, Objective, Trial } from "./api";
import { formatMetric, formatNumber, plural, toNumber, words } from "./format";

/* What is said in sentences; everything else is listed. */
const SPOKEN = new Set(["proposed_by", "algorithm", "regime", "share", "phase", "point", "reason", "predicted", "acquisition",
  "incumbent", "learned_from", "pending", "good", "bad", "candidates", "place", "of", "generation", "source", "stop", "forecast", "index",
  "drawn_from", "log_ratio"]);
const OF_GENERATION = new Set(["run", "population", "sigma"]);

type Facts = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const count = (value: unknown): number => (typeof value === "number" ? value : 0);
const facts = (value: unknown): Facts | null => (typeof value === "object" && value !== null ? value as Facts : null);

/** Each a sentence without its full stop; the first says who proposed it. */
export function whyLines(trial: Trial, objectives: readonly Objective[]): string[] {
  const why: Facts = trial.why ?? {};
  return [
    proposer(why), kind(why), place(why), prediction(trial, facts(why.predicted), objectives), acquisition(facts(why.acquisition)),
    incumbent(facts(why.incumbent)), learned(why), density(why), generation(why),
    text(why.reason) && `Because ${text(why.reason)}`,
    ...Object.entries(why)
      .filter(([name, value]) => value !== null && !SPOKEN.has(name) && !(OF_GENERATION.has(name) && why.generation !== undefined))
      .map(([name, value]) => `${capital(words(name))}: ${typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? formatNumber(value) : String(value)}`),
  ].filter(Boolean);
}

const capital = (s: string): string => s.charAt(0).toUpperCase() + s.slice(1);

function proposer(why: Facts): string {
  const by = text(why.proposed_by);
  const portfolio = text(why.algorithm);
  if (!by) return "";
  if (by === "start_with") return "Listed in start_with of the study file, tried first";
  if (by === "user") return "Queued by a user";
  if (by === "import") return "Imported as a finished trial";
  if (by === "warm_start") return `Warm start: it did well in the earlier study ${text(why.source)}`;
  const share = portfolio && text(why.regime) && why.regime !== "start"
    ? ` (${text(why.regime)}: ${formatNumber(100 * count(why.share), 2)} % of the asks are its)` : "";
  return `Proposed by ${by}${portfolio && portfolio !== by ? `, which ${portfolio} picked${share}` : ""}`;
}

function kind(why: Facts): string {
  const phase = text(why.phase);
  const point = text(why.point);
  if (point === "centre") return "Initial design: the middle of the space";
  if (point === "random" || phase === "random") return "A random point";
  if (phase === "start" || phase === "startup" || point === "sequence") return "Initial design: a point of an even spread over the space";
  if (phase === "spread") return "A point of an even spread: more were asked for at once than the model tells apart";
  return phase && phase !== "model" ? `Phase: ${words(phase)}` : "";
}

function place(why: Facts): string {
  return why.place === undefined || why.of === undefined ? "" : `Point ${formatNumber(count(why.place))} of the grid’s ${formatNumber(count(why.of))}`;
}

function prediction(trial: Trial, predicted: Facts | null, objectives: readonly Objective[]): string {
  const mean = toNumber(predicted?.mean as Metric);
  const sd = toNumber(predicted?.sd as Metric);
  const objective = objectives.length === 1 ? objectives[0] : undefined;
  if (!Number.isFinite(mean) || !Number.isFinite(sd)) return "";
  const expected = `Expected ${objective?.metric ?? "the value"} ${formatMetric(mean)} ± ${formatNumber(sd, 2)}`;
  const forecast = trial.why?.forecast;
  const value = toNumber(forecast ? forecast.value : trial.value);
  if (!objective || !Number.isFinite(value) || !(sd > 0)) return expected;
  const better = ((mean - value) / sd) * (objective.goal === "maximize" ? -1 : 1);
  const verdict = Math.abs(better) < 0.05 ? "as expected"
    : `${Math.abs(better).toFixed(1)} standard deviations ${better > 0 ? "better" : "worse"}`;
  return `${expected}; ${forecast ? "going on, about" : "measured"} ${formatMetric(value)}, ${verdict}`;
}

function acquisition(chosen: Facts | null): string {
  return chosen ? `Acquisition: ${words(text(chosen.name))}, ${formatMetric(chosen.value as Metric)} here` : "";
}

function incumbent(best: Facts | null): string {
  return best ? `The best then was trial ${count(best.number)} with ${formatMetric(best.value as Metric)}` : "";
}

function learned(why: Facts): string {
  if (why.learned_from === undefined) return "";
  const pending = count(why.pending);
  return `Learned from ${plural(count(why.learned_from), "trial")}${pending > 0 ? `, with ${formatNumber(pending)} more under way` : ""}`;
}

function density(why: Facts): string {
  if (why.good === undefined || why.bad === undefined) return "";
  return `The likeliest of ${formatNumber(count(why.candidates))} candidates to be like the ${formatNumber(count(why.good))} good trials and unlike the ${formatNumber(count(why.bad))} others`;
}

function generation(why: Facts): string {
  if (why.generation === undefined) return "";
  return `Generation ${formatNumber(count(why.generation))}` +
    (why.run === undefined ? "" : ` of run ${formatNumber(count(why.run))}`) +
    (why.population === undefined ? "" : `, ${formatNumber(count(why.population))} to a generation`) +
    (why.sigma === undefined ? "" : `, step size ${formatNumber(count(why.sigma), 3)}`);
}
