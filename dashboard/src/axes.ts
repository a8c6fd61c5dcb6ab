/** Where values lie on the axes of the parallel-coordinates picture. Pure. */
import type { Goal, ParameterSpec, ParameterValue } from "./api";
import { formatNumber, formatParameter } from "./format";
import { usefulRange } from "./progress";

export interface Axis {
  name: string;
  /** 0 at the foot to 1 at the top; null for a value that is not active in this trial. */
  place: (value: ParameterValue | undefined) => number | null;
  ticks: { at: number; text: string }[];
}

export function parameterAxis(spec: ParameterSpec): Axis {
  const listed = spec.values ?? (spec.type === "bool" ? [false, true] : null);
  if (listed) {
    const last = listed.length - 1;
    const at = (i: number) => (last === 0 ? 0.5 : i / last);
    const index = new Map(listed.map((value, i) => [String(value), i]));
    const every = Math.max(1, Math.ceil(listed.length / 12));
    return {
      name: spec.name,
      place: (value) => {
        const i = value === undefined || value === null ? undefined : index.get(String(value));
        return i === undefined ? null : at(i);
      },
      ticks: listed.map((value, i) => ({ at: at(i), text: formatParameter(value) })).filter((_, i) => i % every === 0),
    };
  }
  const min = spec.min ?? 0;
  const max = spec.max ?? 1;
  return numberAxis(spec.name, min, max, min > 0 ? spec.scale : "linear", spec.type === "int");
}

/** scale: "log", "reverse_log" (fine at the upper end), else linear. */
export function numberAxis(name: string, min: number, max: number, scale = "linear", whole = false): Axis {
  const log = scale === "log";
  const warp = (v: number) => (log ? Math.log(v) : scale === "reverse_log" ? -Math.log(min + max - v) : v);
  const low = warp(min);
  const span = warp(max) - low;
  const place = (value: ParameterValue | undefined): number | null => {
    if (typeof value !== "number" || !Number.isFinite(value)) return null;
    if (span === 0) return 0.5;
    return Math.min(1, Math.max(0, (warp(value) - low) / span));
  };
  const tick = (value: number) => ({ at: place(value) ?? 0, text: formatNumber(value, 3) });
  if (span === 0) return { name, place, ticks: [tick(min)] };
  /* The ends, and round values between them that keep their distance. */
  const between = (log && max / min >= 50 ? decades(min, max) : steps(min, max))
    .filter((value) => !whole || Number.isInteger(value)).map(tick).filter(({ at }) => at > 0.07 && at < 0.93);
  return { name, place, ticks: [tick(min), ...between, tick(max)] };
}

function decades(min: number, max: number): number[] {
  const first = Math.ceil(Math.log10(min));
  const last = Math.floor(Math.log10(max));
  const every = Math.max(1, Math.ceil((last - first + 1) / 8));
  return Array.from({ length: Math.max(0, Math.floor((last - first) / every) + 1) }, (_, i) => Number(`1e${first + i * every}`));
}

function steps(min: number, max: number): number[] {
  const rough = (max - min) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough)!;
  const first = Math.ceil(min / step);
  return Array.from({ length: Math.max(0, Math.floor(max / step) - first + 1) }, (_, i) => (first + i) * step);
}

export function objectiveAxis(name: string, values: readonly number[], goal: Goal): Axis {
  const { min, max } = usefulRange(values, goal);
  return numberAxis(name, min, max);
}

/** For each value its standing among all: 1 the best, 0 the worst; null for none. */
export function standings(values: readonly number[], goal: Goal): (number | null)[] {
  const order = values.map((value, i) => ({ value, i })).filter(({ value }) => Number.isFinite(value))
    .sort((a, b) => (goal === "maximize" ? a.value - b.value : b.value - a.value));
  const result: (number | null)[] = values.map(() => null);
  order.forEach(({ i }, rank) => {
    result[i] = order.length === 1 ? 1 : rank / (order.length - 1);
  });
  return result;
}
