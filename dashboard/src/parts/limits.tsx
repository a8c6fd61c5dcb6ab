/** Changes a live study's limits. */
import { useState } from "preact/hooks";
import { type Limits, type Problem, type Study, paths } from "../api";
import { problemFrom, request } from "../http";
import { Dialog, ProblemBox } from "./basics";

type Key = "trials" | "parallel" | "failed_trials" | "time" | "gpu_hours";
const FIELDS: readonly { key: Key; label: string; hint: string }[] = [
  { key: "trials", label: "Trials", hint: "in all" },
  { key: "parallel", label: "In parallel", hint: "trials at once" },
  { key: "failed_trials", label: "Failed trials", hint: "allowed before the study fails" },
  { key: "time", label: "Time", hint: "such as 90m or 2h" },
  { key: "gpu_hours", label: "GPU-hours", hint: "in all" },
];

export function LimitsDialog({ study, onClose, onDone }: { study: Study; onClose: () => void; onDone: () => void }) {
  const before = (key: Key) => (study.limits[key] === null || study.limits[key] === undefined ? "" : String(study.limits[key]));
  const [texts, setTexts] = useState<Record<Key, string>>(() =>
    Object.fromEntries(FIELDS.map(({ key }) => [key, before(key)])) as Record<Key, string>);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const faulty = (key: Key) => problem?.errors?.some((fault) => fault.pointer?.endsWith(`/${key}`)) ?? false;

  const save = async (event: Event) => {
    event.preventDefault();
    const limits: Record<string, unknown> = {};
    for (const { key } of FIELDS) {
      const text = texts[key].trim();
      if (text === before(key)) continue;
      /* What is no number goes as it is: the server says what is wrong with it. */
      limits[key] = text === "" ? null : key !== "time" && Number.isFinite(Number(text)) ? Number(text) : text;
    }
    if (Object.keys(limits).length === 0) return onClose();
    setBusy(true);
    setProblem(null);
    try {
      await request<Study>("PATCH", paths.study(study.project, study.name), { body: { limits: limits as Limits } });
      onDone();
      onClose();
    } catch (error) {
      setProblem(problemFrom(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Dialog title="Limits" onClose={onClose}>
      <form onSubmit={save} class="limits">
        {FIELDS.map(({ key, label, hint }) => (
          <label key={key}>
            <span>{label}</span>
            <input name={key} value={texts[key]} inputMode={key === "time" ? "text" : "decimal"} autocomplete="off"
              placeholder="no limit" aria-invalid={faulty(key)}
              onInput={(event) => setTexts({ ...texts, [key]: event.currentTarget.value })} />
            <small>{hint}</small>
          </label>
        ))}
        {problem && <ProblemBox problem={problem} />}
        <div class="buttons">
          <button type="button" onClick={onClose}>Close</button>
          <button type="submit" class="primary" disabled={busy}>{busy ? "Saving…" : "Save"}</button>
        </div>
      </form>
    </Dialog>
  );
}
