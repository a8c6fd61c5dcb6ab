/** Small pieces that every page uses. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Problem, StudyState, TrialCounts, TrialState } from "../api";
import { STATE_WORDS, formatNumber } from "../format";

type AnyState = StudyState | TrialState;

/* One mark per state, told apart by shape as well as by colour. */
const MARKS: Record<AnyState, JSX.Element> = {
  queued: <circle cx="6" cy="6" r="4" class="hollow" />,
  running: <circle cx="6" cy="6" r="4.5" />,
  paused: <path d="M2.5 2h2.6v8H2.5zM6.9 2h2.6v8H6.9z" />,
  stopping: <path d="M2 2h8v8H2z" class="hollow" />,
  succeeded: <path d="M2 6.4 4.8 9.2 10 3.2" class="stroke" />,
  stopped: <path d="M2 2h8v8H2z" />,
  infeasible: <path d="M2.6 9.4 9.4 2.6M6 1.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6" class="stroke thin" />,
  failed: <path d="m2.6 2.6 6.8 6.8m0-6.8L2.6 9.4" class="stroke" />,
  cancelled: <path d="M2 6h8" class="stroke" />,
};

export function StateMark({ state }: { state: AnyState }) {
  return <svg class={`mark s-${state}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">{MARKS[state]}</svg>;
}

export function StateBadge({ state, trial = false }: { state: AnyState; trial?: boolean }) {
  return (
    <span class={`badge s-${state}`}>
      <StateMark state={state} />
      {trial ? STATE_WORDS[state as TrialState] : state}
    </span>
  );
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
      <rect x="1" y="1" width="30" height="30" rx="8" />
      <path d="M9 23.5 23.5 9" />
    </svg>
  );
}

/** What the server said, as it said it: the sentence, then each fault with its place. */
export function ProblemBox({ problem, title }: { problem: Problem; title?: string }) {
  return (
    <div class="problem" role="alert">
      <strong>{title ?? problem.title}</strong>
      {problem.detail && <p>{problem.detail}</p>}
      {problem.errors && problem.errors.length > 0 && (
        <ul>
          {problem.errors.map((fault, i) => (
            <li key={i}>
              {(fault.pointer || fault.line !== undefined) && (
                <code>
                  {fault.pointer || "/"}
                  {fault.line !== undefined && ` (line ${fault.line})`}
                </code>
              )}
              <span>{fault.message}</span>
              {(fault.found !== undefined || fault.allowed !== undefined) && (
                <span class="dim more">
                  {[fault.found === undefined ? "" : `found ${JSON.stringify(fault.found)}`,
                    fault.allowed === undefined ? "" : `allowed: ${fault.allowed}`].filter(Boolean).join(" · ")}
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h3>{title}</h3>
      {children}
    </div>
  );
}

const BAR_ORDER: readonly TrialState[] =
  ["succeeded", "stopped", "infeasible", "failed", "cancelled", "stopping", "running", "paused"];

/** Trials by state along the trial limit, or along their own sum where there is no limit. */
export function TrialBar({ counts, limit }: { counts: TrialCounts; limit: number | null }) {
  const done = BAR_ORDER.slice(0, 5).reduce((sum, state) => sum + counts[state], 0);
  const whole = Math.max(limit ?? 0, counts.total, 1);
  const text = limit ? `${done} of ${limit} trials finished` : `${done} trials finished`;
  return (
    <div class="bar" role="img" aria-label={text}>
      {BAR_ORDER.map((state) => counts[state] > 0 && (
        <i key={state} class={`s-${state}`} title={`${formatNumber(counts[state])} ${STATE_WORDS[state]}`}
          style={{ width: `${(100 * counts[state]) / whole}%` }} />
      ))}
    </div>
  );
}

/** A modal window; the browser keeps the focus inside and closes it on Escape. */
export function Dialog({ title, onClose, children, wide = false }:
  { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    ref.current?.showModal();
  }, []);
  return (
    <dialog ref={ref} class={wide ? "wide" : ""} aria-labelledby={id}
      onCancel={(event) => { event.preventDefault(); onClose(); }}
      onMouseDown={(event) => { if (event.target === ref.current) onClose(); }}>
      <div class="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

/** One choice out of a few, as buttons. */
export function Segments<T extends string>({ label, value, options, onChange }:
  { label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (value: T) => void }) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {options.map(([key, text]) => (
        <button key={key} type="button" aria-pressed={key === value} onClick={() => onChange(key)}>{text}</button>
      ))}
    </div>
  );
}

export function Toggle({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return <button type="button" class="toggle" aria-pressed={on} onClick={() => onChange(!on)}>{label}</button>;
}

/** Puts text on the clipboard; not shown where the browser allows no page to (plain HTTP from afar). */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  if (!navigator.clipboard) return null;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      return;
    }
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return <button type="button" class="toggle copy" onClick={() => void copy()}>{done ? "Copied" : label}</button>;
}

export function Loading({ what }: { what: string }) {
  return <p class="loading" role="status">Loading {what}…</p>;
}
