/** Numbers, times and states as people read them. Pure: the clock is always an argument. */
import type { Metric, ParameterValue, TrialState } from "./api";

/** The number behind a metric value; NaN for what is missing or not a number. */
export function toNumber(value: Metric | null | undefined): number {
  if (typeof value === "number") return value;
  switch (typeof value === "string" ? value.toLowerCase() : "") {
    case "inf": case "+inf": case "infinity": return Infinity;
    case "-inf": case "-infinity": return -Infinity;
    default: return NaN;
  }
}

const MINUS = "\u2212";

/** Up to `digits` significant digits, never longer than it has to be: 0.97321, 1.2e−5, 12 345. */
export function formatNumber(value: number, digits = 5): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : `${MINUS}inf`;
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text: string;
  if (size < 1e-4 || size >= 1e9) {
    const [mantissa, exponent] = size.toExponential(Math.min(digits, 4) - 1).split("e") as [string, string];
    text = `${trimZeros(mantissa)}e${exponent.replace("+", "").replace("-", MINUS)}`;
  } else if (Number.isInteger(size)) {
    text = groupDigits(String(size));
  } else {
    const whole = Math.floor(Math.log10(size)) + 1;
    const decimals = Math.max(0, digits - Math.max(whole, 0) + (whole < 0 ? -whole : 0));
    const [integer, fraction] = size.toFixed(Math.min(decimals, 12)).split(".") as [string, string?];
    text = groupDigits(integer) + (fraction ? trimZeros(`.${fraction}`) : "");
  }
  return value < 0 ? MINUS + text : text;
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A thin space between thousands from 10 000 on. */
function groupDigits(integer: string): string {
  return integer.length < 5 ? integer : integer.replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function formatMetric(value: Metric | null | undefined, digits = 5): string {
  return value === null || value === undefined ? "–" : formatNumber(toNumber(value), digits);
}

export function formatParameter(value: ParameterValue | undefined): string {
  if (value === undefined || value === null) return "–";
  return typeof value === "number" ? formatNumber(value, 4) : String(value);
}

/** 45 s · 3 min 20 s · 2 h 5 min · 3 d 4 h */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms) || ms < 0) return "–";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${trimZeros((ms / 1_000).toFixed(1))} s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), "min", seconds % 60, "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 1_440) return pair(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

function pair(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
}

/** One unit is enough for an age: now, 20 s, 5 min, 3 h, 12 d. */
export function formatAge(ms: number): string {
  if (ms < 5_000) return "now";
  const steps: [number, string][] = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1_000, "s"]];
  for (const [size, unit] of steps) if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  return "now";
}

/** "2h", "1h30m", "90s", "500ms", 90 (seconds) → ms; null for what is none of these. */
export function parseDuration(value: string | number | null | undefined): number | null {
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? value * 1_000 : null;
  if (!value) return null;
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value) * 1_000;
  const units: Record<string, number> = { us: 0.001, ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
  let total = 0;
  let rest = value.trim();
  while (rest) {
    const match = /^(\d+(?:\.\d+)?)\s*(us|ms|min|s|m|h|d|w)\s*/.exec(rest);
    if (!match) return null;
    total += Number(match[1]) * units[match[2]!]!;
    rest = rest.slice(match[0].length);
  }
  return total;
}

export function timeOf(text: string | null | undefined): number {
  return text ? Date.parse(text) : NaN;
}

/** The time of day today, the date and the minute on other days. */
export function formatTime(ms: number, nowMs: number): string {
  if (!Number.isFinite(ms)) return "–";
  const date = new Date(ms);
  const today = date.toDateString() === new Date(nowMs).toDateString();
  const clock = date.toLocaleTimeString(undefined,
    { hour: "2-digit", minute: "2-digit", hour12: false, ...(today ? { second: "2-digit" as const } : {}) });
  return today ? clock : `${date.toLocaleDateString(undefined, { day: "numeric", month: "short" })} ${clock}`;
}

export const STATE_WORDS: Record<TrialState, string> = {
  queued: "queued",
  running: "running",
  paused: "paused",
  stopping: "stopping",
  succeeded: "succeeded",
  stopped: "stopped early",
  infeasible: "infeasible",
  failed: "failed",
  cancelled: "cancelled",
};

/** "out_of_memory" → "out of memory" */
export function words(name: string | null | undefined): string {
  return (name ?? "").replaceAll("_", " ");
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}
