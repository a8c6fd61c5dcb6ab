/** What a study's trials add up to. Pure functions over rows that the server sent. */
import type { Constraint, Goal, Metrics, Study, TrialState } from "./api";
import { parseDuration, timeOf, toNumber } from "./format";

/** The part of a trial that the charts and estimates need. */
export interface Row {
  number: number;
  state: TrialState;
  /** NaN where there is none. */
  value: number;
  finishedMs: number;
  /** false: the trial breaks one of the study's constraints, so it can't be the best. */
  feasible: boolean;
}

/** Whether the metrics keep all constraints; what was not measured keeps none. */
export function keeps(metrics: Metrics | undefined, constraints: readonly Constraint[]): boolean {
  return constraints.every(({ metric, min, max }) => {
    const value = toNumber(metrics?.[metric]);
    return value >= (min ?? -Infinity) && value <= (max ?? Infinity);
  });
}

/**
 * Which rows no other row is better than in one objective and nowhere worse. Sorted by the first
 * objective only rows before can do that; with two objectives the last one kept decides.
 */
export function onFront(rows: readonly (readonly number[])[], goals: readonly Goal[]): number[] {
  const costs = rows.map((row) => row.map((v, k) => (goals[k] === "maximize" ? -v : v)));
  const order = costs.map((_, i) => i).sort((i, j) => {
    const k = costs[i]!.findIndex((v, n) => v !== costs[j]![n]);
    return k < 0 ? 0 : costs[i]![k]! - costs[j]![k]!;
  });
  const beats = (a: readonly number[], b: readonly number[]) => a.every((v, k) => v <= b[k]!) && a.some((v, k) => v < b[k]!);
  const front: number[] = [];
  for (const i of order) {
    const rivals = goals.length <= 2 ? front.slice(-1) : front;
    if (!rivals.some((j) => beats(costs[j]!, costs[i]!))) front.push(i);
  }
  return front;
}

export function isBetter(goal: Goal, a: number, b: number): boolean {
  if (Number.isNaN(a)) return false;
  if (Number.isNaN(b)) return true;
  return goal === "minimize" ? a < b : a > b;
}

/**
 * The best value up to each row, in the rows' order; null until there is one. As on the server,
 * trials that succeeded or were stopped early count, if they keep the constraints and their value
 * is finite.
 */
export function bestSoFar(rows: readonly Row[], goal: Goal): (number | null)[] {
  let best: number | null = null;
  return rows.map((row) => {
    if ((row.state === "succeeded" || row.state === "stopped") && row.feasible && Number.isFinite(row.value) &&
        (best === null || isBetter(goal, row.value, best))) best = row.value;
    return best;
  });
}

/**
 * The range of values worth drawing. One diverged trial must not flatten all others into a line,
 * so the bad side is cut where it lies far beyond the bulk; the good side never is.
 */
export function usefulRange(values: readonly number[], goal: Goal): { min: number; max: number; beyond: number } {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return { min: 0, max: 1, beyond: 0 };
  let min = sorted[0]!;
  let max = sorted[sorted.length - 1]!;
  let beyond = 0;
  if (sorted.length >= 8) {
    const at = (q: number) => sorted[Math.round(q * (sorted.length - 1))]!;
    if (goal === "minimize") {
      const limit = at(0.75) + 3 * (at(0.75) - min);
      if (max > limit && limit > min) {
        beyond = sorted.filter((v) => v > limit).length;
        max = limit;
      }
    } else {
      const limit = at(0.25) - 3 * (max - at(0.25));
      if (min < limit && limit < max) {
        beyond = sorted.filter((v) => v < limit).length;
        min = limit;
      }
    }
  }
  return { min, max, beyond };
}

export function finishedCount(study: Study): number {
  const t = study.trials;
  return t.succeeded + t.stopped + t.infeasible + t.failed + t.cancelled;
}

export function activeCount(study: Study): number {
  return study.trials.running + study.trials.stopping;
}

/** Ends of trials that the estimate looks back on. */
const WINDOW = 40;

/**
 * How long until the trial limit is reached, in ms, from the pace of the latest ends; null when
 * nothing can be said (no limit, paused, final, fewer than three ends). A lull since the last end
 * counts, so the estimate grows when trials get slower. Never past the study's own time limit.
 */
export function estimateLeft(study: Study, finishedMs: readonly number[], nowMs: number): number | null {
  if (study.state !== "running") return null;
  const startedMs = timeOf(study.started_at ?? study.created_at);
  const limitMs = parseDuration(study.limits.time);
  const byTime = limitMs === null || Number.isNaN(startedMs) ? null : Math.max(0, startedMs + limitMs - nowMs);
  const limit = study.limits.trials;
  if (!limit) return byTime;
  const remaining = Math.max(0, limit - finishedCount(study));
  const ends = finishedMs.filter(Number.isFinite).sort((a, b) => a - b).slice(-WINDOW);
  if (ends.length < 3) return byTime;
  const gaps = ends.length - 1;
  const first = ends[0]!;
  const last = ends[gaps]!;
  const pace = (last - first) / gaps;
  const lull = nowMs - last;
  const perTrial = lull > 2 * pace ? (nowMs - first) / (gaps + 1) : pace;
  const byTrials = Math.max(0, remaining * perTrial - Math.min(Math.max(lull, 0), perTrial));
  return byTime === null ? byTrials : Math.min(byTime, byTrials);
}

/** How far along: 0 to 1, the nearest of the limits; null when the study has none that moves. */
export function fractionDone(study: Study, nowMs: number): number | null {
  if (study.state === "succeeded") return 1;
  const parts: number[] = [];
  if (study.limits.trials) parts.push(finishedCount(study) / study.limits.trials);
  const limitMs = parseDuration(study.limits.time);
  const startedMs = timeOf(study.started_at);
  if (limitMs && !Number.isNaN(startedMs)) {
    const endMs = Number.isNaN(timeOf(study.finished_at)) ? nowMs : timeOf(study.finished_at);
    parts.push((endMs - startedMs) / limitMs);
  }
  return parts.length === 0 ? null : Math.min(1, Math.max(0, ...parts));
}

/** How many points a curve may have so that all curves together stay drawable. */
export function pointsPerCurve(trials: number): number {
  return Math.max(12, Math.min(120, Math.floor(60_000 / Math.max(1, trials))));
}
