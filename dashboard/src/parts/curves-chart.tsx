/**
 * The learning curves of all trials in one picture. uPlot gives axes, zoom and pointer; the curves
 * are drawn here, as thousands of series with steps of their own are more than it is made for.
 */
import { useMemo, useState } from "preact/hooks";
import uPlot from "uplot";
import { type Curve, type Goal, type TrialState } from "../api";
import { STATE_WORDS, formatNumber, plural, toNumber } from "../format";
import { usefulRange } from "../progress";
import { Empty, Segments, Toggle } from "./basics";
import { Chart, Note, type Theme, axes, padded, zoomMemory } from "./chart";
import { Legend, extent } from "./history-chart";

interface Line { number: number; state: TrialState; xs: readonly number[]; ys: readonly number[] }

interface Props {
  curves: readonly Curve[];
  metric: string;
  metrics: readonly string[];
  goal: Goal;
  best: number | null;
  selected: number | null;
  onMetric: (metric: string) => void;
  onOpen: (trial: number) => void;
}

/* The later, the nearer to the reader. */
const DRAW_ORDER: readonly TrialState[] =
  ["cancelled", "infeasible", "failed", "stopped", "succeeded", "queued", "paused", "stopping", "running"];

/* More curves than this in one state can't be told apart. */
const MANY = 250;

export function CurvesChart(props: Props) {
  const { curves, metric, metrics, goal, best, onMetric } = props;
  const [log, setLog] = useState(false);
  const [all, setAll] = useState(false);

  const view = useMemo(() => {
    const lines: Line[] = curves.map((curve) => ({
      number: curve.number, state: curve.state, xs: curve.steps, ys: curve.values.map(toNumber),
    }));
    lines.sort((a, b) => DRAW_ORDER.indexOf(a.state) - DRAW_ORDER.indexOf(b.state));
    const values: number[] = [];
    let xMin = Infinity;
    let xMax = -Infinity;
    let positive = true;
    for (const line of lines)
      line.xs.forEach((x, i) => {
        const y = line.ys[i]!;
        if (!Number.isFinite(y)) return;
        if (x < xMin) xMin = x;
        if (x > xMax) xMax = x;
        if (y <= 0) positive = false;
        values.push(y);
      });
    if (xMin > xMax) [xMin, xMax] = [0, 1];
    const useful = usefulRange(values, goal);
    const range = all ? extent(values) : useful;
    const data: uPlot.AlignedData = [[xMin, xMax === xMin ? xMin + 1 : xMax], [null, null]];
    return { lines, data, range, positive: positive && values.length > 0, cut: useful.beyond > 0, points: values.length };
  }, [curves, goal, all]);

  const logOn = log && view.positive;
  const shown = { ...props, view };
  const box = useMemo(() => ({ now: shown }), []);
  box.now = shown;

  const options = (theme: Theme): Omit<uPlot.Options, "width" | "height"> => {
    let note: Note;
    let overlay: HTMLCanvasElement;
    let picked: { line: Line; y: number; x: number } | null = null;

    const nearest = (u: uPlot): typeof picked => {
      const { left = -1, top = -1 } = u.cursor;
      if (left < 0) return null;
      const x = u.posToVal(left, "x");
      let found: typeof picked = null;
      let shortest = 26;
      for (const line of box.now.view.lines) {
        const at = pointAt(line, x);
        if (!at) continue;
        const dx = Math.abs(u.valToPos(at.x, "x") - left);
        if (dx > shortest) continue;
        const distance = Math.hypot(dx, u.valToPos(at.y, "y") - top);
        if (distance <= shortest) {
          shortest = distance;
          found = { line, ...measuredNear(line, x) };
        }
      }
      return found;
    };

    const highlight = (u: uPlot): void => {
      const px = uPlot.pxRatio;
      overlay.width = Math.round(u.bbox.width);
      overlay.height = Math.round(u.bbox.height);
      const ctx = overlay.getContext("2d")!;
      const chosen = box.now.view.lines.find((line) => line.number === box.now.selected);
      for (const line of new Set([chosen, picked?.line])) {
        if (!line) continue;
        ctx.beginPath();
        trace(ctx, u, line, -u.bbox.left, -u.bbox.top);
        ctx.lineJoin = "round";
        ctx.strokeStyle = theme.surface;
        ctx.lineWidth = 6 * px;
        ctx.stroke();
        ctx.strokeStyle = line.number === box.now.best ? theme.gold : theme.ink;
        ctx.lineWidth = 2.4 * px;
        ctx.stroke();
      }
    };

    return {
      scales: {
        x: { time: false, range: (_u, min, max) => [min ?? 0, max ?? 1] },
        y: { distr: logOn ? 3 : 1, auto: true, range: () => {
          const { range } = box.now.view;
          return padded(range.min, range.max, logOn);
        } },
      },
      axes: axes(theme, "step"),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 6 } },
      series: [{}, { show: true, paths: () => null, points: { show: false } }],
      plugins: [zoomMemory],
      hooks: {
        init: [(u) => {
          note = new Note(u);
          overlay = document.createElement("canvas");
          overlay.className = "overlay";
          u.over.appendChild(overlay);
          let downAt = 0;
          u.over.addEventListener("mousedown", (event) => { downAt = event.clientX; });
          u.over.addEventListener("click", (event) => {
            if (picked && Math.abs(event.clientX - downAt) < 5) box.now.onOpen(picked.line.number);
          });
        }],
        setCursor: [(u) => {
          const before = picked?.line;
          picked = nearest(u);
          u.over.style.cursor = picked ? "pointer" : "";
          if (picked?.line !== before) highlight(u);
          if (!picked) return note.hide();
          const { line, x, y } = picked;
          note.show(u, u.valToPos(x, "x"), u.valToPos(y, "y"), [
            `Trial ${line.number}${line.number === box.now.best ? ", the best" : ""}`,
            `${box.now.metric} ${formatNumber(y)} at step ${formatNumber(x)}`,
            STATE_WORDS[line.state] + (line.state === "stopped" ? ` at step ${formatNumber(line.xs[line.xs.length - 1] ?? 0)}` : ""),
          ]);
        }],
        draw: [(u) => {
          drawLines(u, theme, box.now.view.lines, box.now.best);
          highlight(u);
        }],
      },
    };
  };

  const present = new Set(view.lines.map((line) => line.state));
  return (
    <section class="card chart-card" aria-label="Learning curves">
      <header>
        <h2>Learning curves</h2>
        <div class="tools">
          {view.cut && <Toggle label={all ? "All values" : "Cut"} on={!all} onChange={() => setAll(!all)} />}
          {view.positive && <Toggle label="Log scale" on={log} onChange={setLog} />}
          {metrics.length > 1 && metrics.length <= 3 &&
            <Segments label="Metric" value={metric} options={metrics.map((m) => [m, m] as const)} onChange={onMetric} />}
          {metrics.length > 3 && (
            <select aria-label="Metric" value={metric} onChange={(event) => onMetric(event.currentTarget.value)}>
              {metrics.map((m) => <option key={m} value={m}>{m}</option>)}
            </select>
          )}
        </div>
      </header>
      {view.points === 0 ? (
        <Empty title="No measurements yet">
          <p>A curve appears for each trial as soon as it reports <code>{metric}</code> with a step.</p>
        </Empty>
      ) : (
        <>
          <Chart label={`Learning curves of ${metric} for ${plural(view.lines.length, "trial")}`} data={view.data}
            options={options} keys={[metric, goal, logOn]} redraw={`${best} ${props.selected} ${view.points} ${all} ${view.lines.length}`} />
          <Legend items={[
            ...(best !== null && view.lines.some((l) => l.number === best) ? [["gold", `trial ${best}, the best`] as const] : []),
            ...(["running", "succeeded", "stopped", "paused", "failed"] as const)
              .filter((state) => present.has(state)).map((state) => [state, STATE_WORDS[state]] as const),
          ]} />
        </>
      )}
    </section>
  );
}

/** The curve's point at x, between its neighbours; its nearer end when x lies outside. */
function pointAt(line: Line, x: number): { x: number; y: number } | null {
  const { xs, ys } = line;
  if (xs.length === 0) return null;
  let low = 0;
  let high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle]! < x) low = middle + 1;
    else high = middle;
  }
  const right = low;
  const left = xs[right]! > x ? Math.max(0, right - 1) : right;
  const x0 = xs[left]!;
  const x1 = xs[right]!;
  if (x <= x0 || x0 === x1 || x >= x1) {
    const end = x <= x0 ? left : right;
    return Number.isFinite(ys[end]!) ? { x: xs[end]!, y: ys[end]! } : null;
  }
  const y = ys[left]! + ((ys[right]! - ys[left]!) * (x - x0)) / (x1 - x0);
  return Number.isFinite(y) ? { x, y } : null;
}

/** The measured point nearest to x. */
function measuredNear(line: Line, x: number): { x: number; y: number } {
  let best = 0;
  line.xs.forEach((at, i) => {
    if (Number.isFinite(line.ys[i]!) && Math.abs(at - x) < Math.abs(line.xs[best]! - x)) best = i;
  });
  return { x: line.xs[best]!, y: line.ys[best]! };
}

/** Adds one curve to the path; a value that is not finite breaks it. */
function trace(ctx: CanvasRenderingContext2D, u: uPlot, line: Line, dx: number, dy: number): void {
  let drawing = false;
  let single = false;
  let x = 0;
  let y = 0;
  const dot = () => {
    if (single) ctx.rect(x - 0.75 * uPlot.pxRatio, y - 0.75 * uPlot.pxRatio, 1.5 * uPlot.pxRatio, 1.5 * uPlot.pxRatio);
  };
  for (let i = 0; i < line.xs.length; i++) {
    const value = line.ys[i]!;
    if (!Number.isFinite(value)) {
      dot();
      drawing = single = false;
      continue;
    }
    x = u.valToPos(line.xs[i]!, "x", true) + dx;
    y = u.valToPos(value, "y", true) + dy;
    single = !drawing;
    if (drawing) ctx.lineTo(x, y);
    else ctx.moveTo(x, y);
    drawing = true;
  }
  dot();
}

function drawLines(u: uPlot, theme: Theme, lines: readonly Line[], best: number | null): void {
  const { ctx, bbox } = u;
  const px = uPlot.pxRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineJoin = "round";
  const faint = Math.max(0.2, Math.min(0.6, 3.2 / Math.sqrt(lines.length + 1)));
  for (const state of DRAW_ORDER) {
    const group = lines.filter((line) => line.state === state && line.number !== best);
    const live = state === "running" || state === "stopping";
    ctx.strokeStyle = theme.state(state);
    ctx.lineWidth = (live ? 1.6 : 1.2) * px;
    /* Of many, all make one pale shape that shows how far they reach, and every n-th is a line on it. */
    const nth = Math.ceil(group.length / MANY);
    if (nth > 1) {
      ctx.globalAlpha = 0.22;
      ctx.beginPath();
      for (const line of group) trace(ctx, u, line, 0, 0);
      ctx.stroke();
    }
    ctx.globalAlpha = live ? 0.95 : faint;
    for (let i = 0; i < group.length; i += Math.max(1, nth)) {
      ctx.beginPath();
      trace(ctx, u, group[i]!, 0, 0);
      ctx.stroke();
    }
  }
  ctx.globalAlpha = Math.min(1, faint * 2);
  ctx.fillStyle = theme.state("stopped");
  const side = (lines.length > 1_000 ? 2.5 : 4.5) * px;
  for (const line of lines) {
    if (line.state !== "stopped") continue;
    const end = line.ys.length - 1;
    const y = line.ys[end];
    if (y === undefined || !Number.isFinite(y)) continue;
    ctx.fillRect(u.valToPos(line.xs[end]!, "x", true) - side / 2, u.valToPos(y, "y", true) - side / 2, side, side);
  }
  ctx.globalAlpha = 1;
  const winner = lines.find((line) => line.number === best);
  if (winner) {
    ctx.beginPath();
    trace(ctx, u, winner, 0, 0);
    ctx.strokeStyle = theme.surface;
    ctx.lineWidth = 5 * px;
    ctx.stroke();
    ctx.strokeStyle = theme.gold;
    ctx.lineWidth = 2.2 * px;
    ctx.stroke();
  }
  ctx.restore();
}
