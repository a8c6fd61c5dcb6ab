/**
 * The HTTP contract as the dashboard sees it: shapes, and one function per path.
 * Field names are those of the JSON. Times are RFC 3339 strings in UTC.
 */

/** A metric value: a number, or one of the strings that JSON has no number for. */
export type Metric = number | "nan" | "inf" | "-inf";

export type StudyState = "running" | "paused" | "stopping" | "succeeded" | "failed" | "cancelled";

export type TrialState =
  | "queued" | "running" | "paused" | "stopping"
  | "succeeded" | "stopped" | "infeasible" | "failed" | "cancelled";

export const STUDY_STATES: readonly StudyState[] =
  ["running", "paused", "stopping", "succeeded", "failed", "cancelled"];
export const TRIAL_STATES: readonly TrialState[] =
  ["queued", "running", "paused", "stopping", "succeeded", "stopped", "infeasible", "failed", "cancelled"];

export type Goal = "minimize" | "maximize";
export type ParameterValue = number | string | boolean | null;
export type Parameters = Record<string, ParameterValue>;
export type Metrics = Record<string, Metric>;

export interface Objective { metric: string; goal: Goal; target: number | null }

export interface Best {
  number: number;
  value: Metric;
  metric: string;
  goal: Goal;
  parameters: Parameters;
  metrics: Metrics;
}

export type TrialCounts = Record<TrialState | "total", number>;

export interface Limits {
  trials?: number | null;
  parallel?: number | null;
  failed_trials?: number | null;
  /** A length of time as written in the study file ("2h", "90m") or seconds. */
  time?: string | number | null;
  gpu_hours?: number | null;
}

export interface ParameterSpec {
  name: string;
  type: "double" | "int" | "discrete" | "categorical" | "bool";
  min?: number;
  max?: number;
  step?: number;
  scale?: string;
  values?: ParameterValue[];
  default?: ParameterValue;
  when?: Record<string, ParameterValue[]>;
}

export interface Constraint { metric: string; min?: number | null; max?: number | null }

/** A rule, or several joined by the names any and all. */
export interface StoppingRule { name: string; settings?: Record<string, unknown>; rules?: StoppingRule[] }

export interface StudySpec {
  constraints?: Constraint[];
  parameters?: ParameterSpec[];
  budget?: { name?: string; min?: number; max?: number; eta?: number } | null;
  trial?: { command?: string[] } | null;
  [key: string]: unknown;
}

export interface Study {
  name: string;
  project: string;
  state: StudyState;
  reason: string | null;
  message: string | null;
  objectives: Objective[];
  algorithm: { name: string; settings?: Record<string, unknown> };
  early_stopping: StoppingRule | null;
  limits: Limits;
  seed: number;
  /** false: outside workers ask for trials and tell their results. */
  runs_trials: boolean;
  trials: TrialCounts;
  best: Best | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  /** Only when one study is asked for. */
  spec?: StudySpec;
}

export interface Attempt {
  number: number;
  state: "starting" | "running" | "exited" | "lost";
  exit_code: number | null;
  signal: number | string | null;
  reason: string | null;
  message: string | null;
  pid?: number | null;
  gpus?: (number | string)[];
  started_at: string;
  finished_at: string | null;
}

export interface StopDecision {
  rule: string;
  metric: string;
  value: Metric;
  threshold: Metric | null;
  step: number;
  compared?: number | null;
  /** The rule's own sentence. */
  message?: string;
}

/** What a stopped trial would probably have ended with, by so many whole trials. */
export interface Forecast {
  metric: string;
  value: Metric;
  trials: number;
}

export interface Why {
  proposed_by: string;
  stop: StopDecision | null;
  forecast?: Forecast;
  [key: string]: unknown;
}

export interface Trial {
  number: number;
  study: string;
  project: string;
  state: TrialState;
  reason: string | null;
  message: string | null;
  parameters: Parameters;
  metrics: Metrics;
  /** The first objective. */
  value: Metric | null;
  budget: number | null;
  attempts: Attempt[];
  why: Why | null;
  client: string | null;
  lease_expires: string | null;
  /** The last step reported. */
  steps: number | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
}

export interface Importance {
  /** The most important first; empty when nothing can be said. */
  importance: { parameter: string; importance: number }[];
  interactions: { parameters: string[]; importance: number }[] | null;
  explained: number | null;
  method: "ped_anova" | "fanova";
  metric: string | null;
  trials: number;
  message: string | null;
}

export interface Advice {
  advice: "too_early" | "go_on" | "consider_stopping";
  sentence: string;
  expected_best_after: { trials: number; value: number | null; probability: number }[] | null;
  [key: string]: unknown;
}

export interface Measurement { step: number; time: string; metrics: Metrics }
export interface Curve { number: number; state: TrialState; steps: number[]; values: Metric[] }
export interface Curves { metric: string; curves: Curve[] }

export interface StudyEvent {
  id: number;
  time: string;
  type: string;
  trial: number | null;
  message: string;
  data: Record<string, unknown>;
}

export interface Project { name: string; created_at: string }
export interface Whoami { role: "viewer" | "editor" | "admin"; projects: string[] }

/** One fault in what was sent: where (a JSON pointer, a line), what is wrong, what is allowed. */
export interface Fault {
  pointer?: string;
  line?: number;
  message: string;
  found?: unknown;
  allowed?: string;
}

/** application/problem+json */
export interface Problem {
  title: string;
  status: number;
  code: string;
  detail?: string;
  errors?: Fault[];
}

export interface StudyPage { studies: Study[]; next_page_token: string | null }
export interface TrialPage { trials: Trial[]; next_page_token: string | null }
export interface MeasurementPage { measurements: Measurement[]; next_page_token: string | null }
export interface EventPage { events: StudyEvent[]; next_page_token: string | null }

type Query = Record<string, string | number | boolean | readonly string[] | null | undefined>;

/** Joins a path and its query; empty values are left out, lists travel as a,b. */
export function withQuery(path: string, query: Query): string {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    if (Array.isArray(value) && value.length === 0) continue;
    const text = Array.isArray(value) ? value.join(",") : String(value);
    parts.push(`${key}=${encodeURIComponent(text).replaceAll("%2C", ",")}`);
  }
  if (parts.length === 0) return path;
  return path + (path.includes("?") ? "&" : "?") + parts.join("&");
}

const seg = encodeURIComponent;
const studyPath = (project: string, study: string) => `/v1/projects/${seg(project)}/studies/${seg(study)}`;
const trialPath = (project: string, study: string, number: number) =>
  `${studyPath(project, study)}/trials/${number}`;

export const paths = {
  whoami: "/v1/whoami",
  projects: "/v1/projects",
  studies: (project: string, query: Query = {}) =>
    withQuery(`/v1/projects/${seg(project)}/studies`, query),
  study: studyPath,
  verb: (project: string, study: string, verb: "pause" | "resume" | "cancel") =>
    `${studyPath(project, study)}/${verb}`,
  trials: (project: string, study: string, query: Query = {}) =>
    withQuery(`${studyPath(project, study)}/trials`, query),
  importance: (project: string, study: string, query: Query) =>
    withQuery(`${studyPath(project, study)}/importance`, query),
  advice: (project: string, study: string) => `${studyPath(project, study)}/advice`,
  curves: (project: string, study: string, query: Query) =>
    withQuery(`${studyPath(project, study)}/curves`, query),
  events: (project: string, study: string, query: Query = {}) =>
    withQuery(`${studyPath(project, study)}/events`, query),
  trial: trialPath,
  stopTrial: (project: string, study: string, number: number) =>
    `${trialPath(project, study, number)}/stop`,
  measurements: (project: string, study: string, number: number, query: Query = {}) =>
    withQuery(`${trialPath(project, study, number)}/measurements`, query),
  logs: (project: string, study: string, number: number, query: Query = {}) =>
    withQuery(`${trialPath(project, study, number)}/logs`, query),
};

export const FINAL_STUDY: ReadonlySet<StudyState> = new Set(["succeeded", "failed", "cancelled"]);
export const FINAL_TRIAL: ReadonlySet<TrialState> =
  new Set(["succeeded", "stopped", "infeasible", "failed", "cancelled"]);
