/** With several objectives: every trial in the plane of two of them, and the Pareto front. */
import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import type { Objective } from "../api";
import { formatNumber, plural, toNumber } from "../format";
import type { HistoryTrial } from "../history";
import { onFront, usefulRange } from "../progress";
import { Chart, Note, type Theme, axes, padded, zoomMemory } from "./chart";
import { Legend } from "./history-chart";

interface Props { rows: readonly HistoryTrial[]; objectives: readonly Objective[]; onOpen: (trial: number) => void }
interface Point { row: HistoryTrial; values: number[]; front: boolean; x: number; y: number }

export function ParetoChart({ rows, objectives, onOpen }: Props) {
  const [chosen, setChosen] = useState<[number, number]>([0, 1]);
  const [a, b] = [objectives[chosen[0]]!, objectives[chosen[1]]!];

  const view = useMemo(() => {
    const ended = rows.filter((row) => row.state === "succeeded" || row.state === "stopped");
    const all = ended.map((row) => ({ row, values: objectives.map((o) => toNumber(row.trial.metrics?.[o.metric])) }))
      .filter(({ values }) => values.every(Number.isFinite));
    const allowed = all.filter(({ row }) => row.feasible);
    const front = new Set(onFront(allowed.map(({ values }) => values), objectives.map((o) => o.goal)).map((i) => allowed[i]!.row));
    const xRange = usefulRange(all.map(({ values }) => values[chosen[0]]!), a.goal);
    const yRange = usefulRange(all.map(({ values }) => values[chosen[1]]!), b.goal);
    const clip = (v: number, range: { min: number; max: number }) => Math.min(range.max, Math.max(range.min, v));
    const points: Point[] = all.map(({ row, values }) => ({
      row, values, front: front.has(row), x: clip(values[chosen[0]]!, xRange), y: clip(values[chosen[1]]!, yRange),
    })).sort((p, q) => p.x - q.x || p.y - q.y);
    const pick = (keep: (p: Point) => boolean) => points.map((p) => (keep(p) ? p.y : null));
    const data: uPlot.AlignedData = [
      points.map((p) => p.x), pick((p) => !p.front && p.row.feasible), pick((p) => !p.row.feasible), pick((p) => p.front),
    ];
    return { data, points, xRange, yRange, front: front.size, broken: all.length - allowed.length };
  }, [rows, objectives, chosen[0], chosen[1]]);

  const box = useMemo(() => ({ now: { view, a, b, onOpen } }), []);
  box.now = { view, a, b, onOpen };
  if (view.points.length === 0) return null;
  const size = view.points.length > 2_000 ? 3 : view.points.length > 400 ? 4.5 : 6.5;

  const options = (theme: Theme): Omit<uPlot.Options, "width" | "height"> => {
    let note: Note;
    let ring: HTMLElement;
    let picked: Point | null = null;
    const dots = (color: string, fill: string, of = size): uPlot.Series => ({
      paths: () => null, points: { show: true, size: of, width: 1.2, stroke: color, fill },
    });
    const [xAxis, yAxis] = axes(theme, a.metric) as [uPlot.Axis, uPlot.Axis];
    return {
      scales: {
        x: { time: false, range: (_u, min, max) => {
          const { xRange } = box.now.view;
          return min === null || max === null || min <= xRange.min && max >= xRange.max ? padded(xRange.min, xRange.max, false) : [min, max];
        } },
        y: { range: () => padded(box.now.view.yRange.min, box.now.view.yRange.max, false) },
      },
      axes: [{ ...xAxis, values: (_u, ticks) => ticks.map((v) => formatNumber(v, 4)) }, { ...yAxis, label: b.metric, labelSize: 18 }],
      legend: { show: false },
      cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: false, dist: 6 } },
      series: [{}, dots(theme.cold, theme.surface), dots(theme.state("infeasible"), theme.surface), dots(theme.gold, theme.gold, size + 1)],
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
            if (picked && Math.abs(event.clientX - downAt) < 5) box.now.onOpen(picked.row.number);
          });
        }],
        setCursor: [(u) => {
          const { left = -1, top = -1 } = u.cursor;
          let distance = 24 ** 2;
          picked = null;
          for (const point of left < 0 ? [] : box.now.view.points) {
            const d = (u.valToPos(point.x, "x") - left) ** 2 + (u.valToPos(point.y, "y") - top) ** 2;
            if (d < distance || (d === distance && point.front)) {
              picked = point;
              distance = d;
            }
          }
          u.over.style.cursor = picked ? "pointer" : "";
          ring.hidden = picked === null;
          if (!picked) return note.hide();
          const x = u.valToPos(picked.x, "x");
          const y = u.valToPos(picked.y, "y");
          ring.style.transform = `translate(${x}px, ${y}px)`;
          note.show(u, x, y, [
            `Trial ${picked.row.number}`,
            ...objectives.map((o, i) => `${o.metric} ${formatNumber(picked!.values[i]!)}`),
            ...(picked.front ? ["on the front"] : []),
            ...(picked.row.feasible ? [] : ["breaks a constraint"]),
          ]);
        }],
        drawSeries: [(u, series) => {
          if (series === 1 && objectives.length === 2) drawStairs(u, theme, box.now.view.points.filter((p) => p.front), box.now.a, box.now.b);
        }],
      },
    };
  };

  const choose = (axis: 0 | 1, index: number) => {
    const next: [number, number] = [...chosen];
    if (next[1 - axis] === index) next[1 - axis] = next[axis];
    next[axis] = index;
    setChosen(next);
  };
  return (
    <section class="card chart-card pareto" aria-label="Pareto front">
      <header>
        <h2>Pareto front</h2>
        {objectives.length > 2 && (
          <div class="tools">
            {([0, 1] as const).map((axis) => (
              <select key={axis} aria-label={axis === 0 ? "Across" : "Upwards"} value={chosen[axis]}
                onChange={(event) => choose(axis, Number(event.currentTarget.value))}>
                {objectives.map((o, i) => <option key={o.metric} value={i}>{o.metric}</option>)}
              </select>
            ))}
          </div>
        )}
      </header>
      <Chart label={`${a.metric} (${a.goal}) against ${b.metric} (${b.goal}), ${plural(view.points.length, "trial")}, ${view.front} on the Pareto front`}
        data={view.data} options={options} keys={[a.metric, b.metric, size]} redraw={view} />
      <Legend items={[
        ["gold-dot", `${plural(view.front, "trial")} on the front (${a.metric}: ${a.goal}, ${b.metric}: ${b.goal})`],
        ["cold ring", "others"],
        ...(view.broken > 0 ? [["infeasible ring", "breaks a constraint"] as const] : []),
      ]} />
    </section>
  );
}

/** The edge of what the front's trials are better than. */
function drawStairs(u: uPlot, theme: Theme, front: readonly Point[], a: Objective, b: Objective): void {
  const { ctx } = u;
  const path = new Path2D();
  front.forEach((point, i) => {
    const x = u.valToPos(point.x, "x", true);
    const y = u.valToPos(point.y, "y", true);
    const before = front[i - 1];
    if (!before) return path.moveTo(x, y);
    /* A step turns at the corner that is worse in both. */
    const worseX = a.goal === "minimize" ? Math.max(before.x, point.x) : Math.min(before.x, point.x);
    const worseY = b.goal === "minimize" ? Math.max(before.y, point.y) : Math.min(before.y, point.y);
    path.lineTo(u.valToPos(worseX, "x", true), u.valToPos(worseY, "y", true));
    path.lineTo(x, y);
  });
  ctx.save();
  ctx.strokeStyle = theme.gold;
  ctx.lineWidth = 1.4 * uPlot.pxRatio;
  ctx.stroke(path);
  ctx.restore();
}
