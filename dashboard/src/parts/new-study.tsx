/** Submits a study file: checked whole by the server, every fault shown with its place. */
import { useRef, useState } from "preact/hooks";
import { type Problem, type Study, paths, withQuery } from "../api";
import { problemFrom, request } from "../http";
import { go, linkTo } from "../route";
import { Dialog, ProblemBox } from "./basics";

export const EXAMPLE = `name: first-study
objective: {metric: loss, goal: minimize}
parameters:
  - {name: lr, type: double, min: 1.0e-5, max: 1.0, scale: log}
  - {name: units, type: int, min: 8, max: 512, scale: log}
algorithm: {name: auto}
limits: {trials: 20, parallel: 2}
trial:
  command: [python3, train.py, --lr, "\${lr}", --units, "\${units}"]
`;

export function NewStudy({ project, onClose }: { project: string; onClose: () => void }) {
  const [text, setText] = useState(EXAMPLE);
  const [busy, setBusy] = useState(false);
  const [valid, setValid] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  /* One key per text: pressing twice, or again after a lost answer, makes one study. */
  const key = useRef({ text: "", value: "" });

  const send = async (dryRun: boolean) => {
    setBusy(true);
    setProblem(null);
    setValid(false);
    const type = text.trimStart().startsWith("{") ? "application/json" : "application/yaml";
    if (key.current.text !== text) key.current = { text, value: randomKey() };
    try {
      const path = withQuery(paths.studies(project), { dry_run: dryRun || null });
      const answer = await request<Study>("POST", path,
        { raw: { text, type }, ...(dryRun ? {} : { idempotencyKey: key.current.value }) });
      if (dryRun) setValid(true);
      else {
        onClose();
        go(linkTo(answer.data.project, answer.data.name));
      }
    } catch (error) {
      setProblem(problemFrom(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Dialog title="New study" onClose={onClose} wide>
      <label for="study-file">Study file, YAML or JSON</label>
      <textarea id="study-file" class="code" rows={16} spellcheck={false} value={text}
        onInput={(event) => { setText(event.currentTarget.value); setValid(false); }} />
      {problem && <ProblemBox problem={problem} />}
      {valid && <p class="fine" role="status">The study is valid.</p>}
      <div class="buttons">
        <button type="button" onClick={onClose}>Close</button>
        <button type="button" disabled={busy} onClick={() => void send(true)}>Check</button>
        <button class="primary" type="button" disabled={busy} onClick={() => void send(false)}>Submit</button>
      </div>
    </Dialog>
  );
}

/** crypto.randomUUID() exists in secure contexts only; this works on any address. */
function randomKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
