/** Every trial's value by its number, and the best so far. */
import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Goal, TrialState } from "../api";
import { STATE_WORDS, formatNumber, plural } from "../format";
import type { HistoryTrial } from "../history";
import { bestSoFar, usefulRange } from "../progress";
import { Toggle } from "./basics";
import { Chart, Note, type Theme, axes, padded, zoomMemory } from "./chart";

interface Props {
  rows: HistoryTrial[];
  metric: string;
  goal: Goal;
  target: number | null;
  onOpen: (trial: number) => void;
}

/* Series after the best line, in the order they are drawn. */
const GROUPS: { states: TrialState[]; draw: TrialState; hollow: boolean }[] = [
  { states: ["stopped"], draw: "stopped", hollow: true },
  { states: ["infeasible", "failed", "cancelled"], draw: "infeasible", hollow: true },
  { states: ["queued", "running", "paused", "stopping"], draw: "running", hollow: true },
  { states: ["succeeded"], draw: "succeeded", hollow: false },
];

export function HistoryChart({ rows, metric, goal, target, onOpen }: Props) {
  const [log, setLog] = useState(false);
  const [all, setAll] = useState(false);

  const view = useMemo(() => {
    const values = rows.map((row) => row.value).filter(Number.isFinite);
    const useful = usefulRange(values, goal);
    const range = { ...(all ? extent(values) : useful) };
    /* A target within reach belongs in the picture; one far off would flatten it. */
    const reach = range.max - range.min;
    if (target !== null && target > range.max && target - range.max <= reach / 2) range.max = target;
    if (target !== null && target < range.min && range.min - target <= reach / 2) range.min = target;
    const positive = values.length > 0 && values.every((v) => v > 0);
    const best = bestSoFar(rows, goal);
    const clip = (v: number) => Math.min(range.max, Math.max(range.min, v));
    const data: uPlot.AlignedData = [
      rows.map((row) => row.number),
      best.map((v) => (v === null ? null : clip(v))),
      ...GROUPS.map((group) => rows.map((row) =>
        group.states.includes(row.feasible ? row.state : "infeasible") && Number.isFinite(row.value) ? clip(row.value) : null)),
    ];
    const last = best.length > 0 ? best[best.length - 1]! : null;
    return { data, range, positive, beyond: useful.beyond, best, last };
  }, [rows, goal, target, all]);

  const logOn = log && view.positive;
  const shown = { rows, view, metric, target, onOpen };
  const box = useMemo(() => ({ now: shown }), []);
  box.now = shown;

  const pointSize = rows.length > 2_000 ? 3 : rows.length > 400 ? 4.5 : 6.5;

  const options = (theme: Theme): Omit<uPlot.Options, "width" | "height"> => {
    let note: Note;
    let ring: HTMLElement;
    let picked = -1;
    const pick = (u: uPlot): number => {
      const { left = -1, top = -1, idx } = u.cursor;
      const { rows: r } = box.now;
      if (left < 0 || idx === null || idx === undefined || r.length === 0) return -1;
      const reach = 1 + Math.ceil((14 * r.length) / Math.max(1, u.over.clientWidth));
      let best = -1;
      let bestDistance = 40 ** 2;
      for (let i = Math.max(0, idx - reach); i <= Math.min(r.length - 1, idx + reach); i++) {
        const y = valueAt(u, i);
        const dx = u.valToPos(r[i]!.number, "x") - left;
        const dy = (y === null ? u.over.clientHeight - 5 : u.valToPos(y, "y")) - top;
        const distance = dx * dx + 0.35 * dy * dy;
        if (distance < bestDistance) {
          best = i;
          bestDistance = distance;
        }
      }
      return best;
    };
    return {
      scales: {
        x: { time: false, range: (_u, min, max) => {
          if (min === null || max === null) return [1, 10];
          const air = Math.max(0.5, 0.012 * (max - min));
          return [min - air, Math.max(max, min + 3) + air];
        } },
        y: { distr: logOn ? 3 : 1, range: () => {
          const { range } = box.now.view;
          return padded(range.min, range.max, logOn);
        } },
      },
      axes: axes(theme, "trial"),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 6 } },
      series: [
        {},
        { stroke: theme.gold, width: 2, paths: uPlot.paths.stepped!({ align: 1 }), points: { show: false }, spanGaps: true },
        ...GROUPS.map((group): uPlot.Series => ({
          paths: () => null,
          points: {
            show: true, size: pointSize, width: pointSize < 5 ? 1 : 1.4,
            stroke: theme.state(group.draw),
            fill: group.hollow ? theme.surface : theme.state(group.draw),
          },
        })),
      ],
      plugins: [zoomMemory],
      hooks: {
        init: [(u) => {
          note = new Note(u);
          ring = document.createElement("div");
          ring.className = "picked";
          ring.hidden = true;
          u.over.appendChild(ring);
          let downAt = 0;
          u.over.addEventListener("mousedown", (event) => { downAt = event.clientX; });
          u.over.addEventListener("click", (event) => {
            if (picked >= 0 && Math.abs(event.clientX - downAt) < 5) box.now.onOpen(box.now.rows[picked]!.number);
          });
        }],
        setCursor: [(u) => {
          picked = pick(u);
          u.over.style.cursor = picked >= 0 ? "pointer" : "";
          if (picked < 0) {
            note.hide();
            ring.hidden = true;
            return;
          }
          const row = box.now.rows[picked]!;
          const y = valueAt(u, picked);
          const left = u.valToPos(row.number, "x");
          const top = y === null ? u.over.clientHeight - 5 : u.valToPos(y, "y");
          const soFar = box.now.view.best[picked];
          ring.hidden = false;
          ring.style.transform = `translate(${left}px, ${top}px)`;
          note.show(u, left, top, [
            `Trial ${row.number}`,
            Number.isNaN(row.value) ? STATE_WORDS[row.state]
              : `${box.now.metric} ${formatNumber(row.value)}`,
            ...(Number.isNaN(row.value) ? [] : [STATE_WORDS[row.state]]),
            ...(row.feasible ? [] : ["breaks a constraint"]),
            ...(soFar === null || soFar === undefined ? [] : [`best so far ${formatNumber(soFar)}`]),
          ]);
        }],
        draw: [(u) => {
          drawValueless(u, theme, box.now.rows);
          if (box.now.target !== null) drawLevel(u, theme.dim, box.now.target);
        }],
      },
    };
  };

  const label = `Values of ${metric} by trial number, ${plural(rows.length, "trial")}` +
    (view.last === null ? "" : `, best so far ${formatNumber(view.last)}`);
  return (
    <section class="card chart-card" aria-label="Optimisation history">
      <header>
        <h2>History</h2>
        <div class="tools">
          {view.beyond > 0 && <Toggle label={all ? "All values" : `${plural(view.beyond, "value")} beyond`} on={all} onChange={setAll} />}
          {view.positive && <Toggle label="Log scale" on={log} onChange={setLog} />}
        </div>
      </header>
      <Chart label={label} data={view.data} options={options} keys={[metric, goal, logOn, pointSize]} redraw={view} />
      <Legend items={[
        ["gold", "best so far"],
        ...(target === null ? [] : [["target", `target ${formatNumber(target)}`] as const]),
        ...(rows.some((r) => r.state === "succeeded") ? [["succeeded", "succeeded"] as const] : []),
        ...(rows.some((r) => r.state === "stopped") ? [["stopped ring", "stopped early"] as const] : []),
        ...(rows.some((r) => r.state === "running") ? [["running ring", "running"] as const] : []),
        ...(rows.some((r) => !r.feasible) ? [["infeasible ring", "breaks a constraint"] as const] : []),
        ...(rows.some(failed) ? [["failed cross", "failed"] as const] : []),
      ]} />
    </section>
  );
}

/** Each item: the state whose colour it has, with "ring" or "cross" for another mark; its words. */
export function Legend({ items }: { items: readonly (readonly [string, string])[] }) {
  return (
    <ul class="legend">
      {items.map(([mark, text]) => <li key={mark} class={`s-${mark}`}><i />{text}</li>)}
    </ul>
  );
}

export function extent(values: readonly number[]): { min: number; max: number } {
  let min = Infinity;
  let max = -Infinity;
  for (const v of values) {
    if (v < min) min = v;
    if (v > max) max = v;
  }
  return min <= max ? { min, max } : { min: 0, max: 1 };
}

function valueAt(u: uPlot, index: number): number | null {
  for (let s = 2; s < u.data.length; s++) {
    const v = u.data[s]![index];
    if (v !== null && v !== undefined) return v;
  }
  return null;
}

const failed = (row: HistoryTrial) => row.state === "failed" || row.state === "infeasible";

/** Trials without a value stand at the foot: a cross for a failure, a ring for one that runs. */
function drawValueless(u: uPlot, theme: Theme, rows: readonly HistoryTrial[]): void {
  const { ctx, bbox } = u;
  const px = uPlot.pxRatio;
  const r = (rows.length > 2_000 ? 1.8 : 2.8) * px;
  const y = bbox.top + bbox.height - 5 * px;
  const crosses = new Path2D();
  const rings = new Path2D();
  for (const row of rows) {
    if (!Number.isNaN(row.value)) continue;
    const x = u.valToPos(row.number, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    if (failed(row)) {
      crosses.moveTo(x - r, y - r);
      crosses.lineTo(x + r, y + r);
      crosses.moveTo(x + r, y - r);
      crosses.lineTo(x - r, y + r);
    } else if (row.state === "running") {
      rings.moveTo(x + r, y);
      rings.arc(x, y, r, 0, 2 * Math.PI);
    }
  }
  ctx.save();
  ctx.lineWidth = (rows.length > 2_000 ? 0.8 : 1.4) * px;
  ctx.strokeStyle = theme.state("failed");
  ctx.stroke(crosses);
  ctx.strokeStyle = theme.state("running");
  ctx.stroke(rings);
  ctx.restore();
}

/** A level that matters, where it lies within the picture. */
export function drawLevel(u: uPlot, color: string, level: number, text?: string): void {
  const { ctx, bbox } = u;
  const y = u.valToPos(level, "y", true);
  if (!(y >= bbox.top && y <= bbox.top + bbox.height)) return;
  const px = uPlot.pxRatio;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = px;
  ctx.setLineDash([4 * px, 4 * px]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  if (text) {
    ctx.font = `${11 * px}px system-ui, sans-serif`;
    ctx.fillStyle = color;
    ctx.textAlign = "left";
    ctx.textBaseline = y - bbox.top > 16 * px ? "bottom" : "top";
    ctx.fillText(text, bbox.left + 4 * px, y + (ctx.textBaseline === "bottom" ? -2 : 3) * px);
  }
  ctx.restore();
}
