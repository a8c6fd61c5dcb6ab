/**
 * Parallel coordinates: one line per trial through its parameters to its value, the better the
 * more golden. Dragging along an axis keeps only the lines that pass there.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ParameterSpec, Study } from "../api";
import { type Axis, objectiveAxis, parameterAxis, standings } from "../axes";
import { STATE_WORDS, formatNumber, formatParameter, plural, toNumber } from "../format";
import { type HistoryTrial, TrialHistory } from "../history";
import { useMedia, usePulse } from "../live";
import { isBetter } from "../progress";
import { Empty, Loading } from "./basics";
import { readTheme } from "./chart";

interface Props { study: Study; objective: number; active: boolean; open: (trial: number) => void }
interface Line { row: HistoryTrial; value: number; standing: number; places: (number | null)[] }
type Brushes = Record<number, [number, number]>;

const HEIGHT = 380;
const TOP = 44;
const FOOT = 40;
const SIDE = 56;
const AXIS_SPACE = 96;
const REACH = 14;
/* An inactive parameter's line passes below the foot of its axis. */
const OFF = -0.07;

export function Parallel({ study, objective: index, active, open }: Props) {
  const { project, name } = study;
  const objective = study.objectives[index] ?? study.objectives[0];
  const goal = objective?.goal ?? "minimize";
  const metric = objective?.metric ?? "value";
  const several = study.objectives.length > 1;
  const [rows, setRows] = useState<HistoryTrial[] | null>(null);
  const history = useMemo(() => new TrialHistory(project, name,
    `number,state,value,finished_at,parameters${several ? ",metrics" : ""}`), [project, name, several]);
  usePulse((signal) => history.refresh(signal, setRows), [history], study, active ? 5_000 : null);

  const [brushes, setBrushes] = useState<Brushes>({});
  const view = useMemo(() => {
    const all = rows ?? [];
    const values = all.map((row) => (several ? toNumber(row.trial.metrics?.[metric]) : row.value));
    const specs = study.spec?.parameters ?? inferred(all);
    const axes: Axis[] = [...specs.map(parameterAxis), objectiveAxis(metric, values, goal)];
    const standing = standings(values, goal);
    const lines: Line[] = [];
    all.forEach((row, i) => {
      if (standing[i] === null) return;
      lines.push({
        row, value: values[i]!, standing: standing[i]!,
        places: axes.map((axis, k) => (k === specs.length ? axis.place(values[i]!) : axis.place(row.trial.parameters[axis.name]))),
      });
    });
    lines.sort((a, b) => a.standing - b.standing);
    return { axes, lines };
  }, [rows, study.spec, metric, goal, several]);
  const kept = useMemo(() => view.lines.filter((line) => passes(line, brushes)), [view, brushes]);
  const brushed = Object.keys(brushes).length > 0;

  if (!rows) return <Loading what="parameters" />;
  if (view.lines.length === 0)
    return <Empty title="No trial has a value yet"><p>Each trial becomes a line through its parameters as soon as it has one.</p></Empty>;

  const best = kept.reduce<Line | null>((found, line) => (found === null || isBetter(goal, line.value, found.value) ? line : found), null);
  return (
    <section class="card parallel" aria-label="Parallel coordinates">
      <p class="hint" role="status">
        {brushed ? `${formatNumber(kept.length)} of ${plural(view.lines.length, "trial")}` : plural(view.lines.length, "trial")}
        {brushed && best && <>, best {metric} {formatNumber(best.value)} in <button type="button" class="link" onClick={() => open(best.row.number)}>trial {best.row.number}</button></>}
        {brushed ? <button type="button" class="link" onClick={() => setBrushes({})}>show all</button>
          : ". The more golden a line, the better. Drag along an axis to keep only the lines that pass there."}
      </p>
      <Picture axes={view.axes} lines={view.lines} brushes={brushes} metric={metric} onBrush={setBrushes} onOpen={open} />
    </section>
  );
}

/** The space as the trials show it, for a server that doesn't send the study file along. */
function inferred(rows: readonly HistoryTrial[]): ParameterSpec[] {
  const seen = new Map<string, Set<string | number | boolean>>();
  for (const row of rows)
    for (const [name, value] of Object.entries(row.trial.parameters))
      if (value !== null) seen.set(name, (seen.get(name) ?? new Set()).add(value));
  return [...seen].map(([name, set]): ParameterSpec => {
    const values = [...set];
    const numbers = values.filter((v): v is number => typeof v === "number");
    return numbers.length === values.length
      ? { name, type: "double", min: numbers.reduce((a, b) => Math.min(a, b)), max: numbers.reduce((a, b) => Math.max(a, b)) }
      : { name, type: "categorical", values };
  });
}

function passes(line: Line, brushes: Brushes): boolean {
  for (const [axis, [low, high]] of Object.entries(brushes)) {
    const place = line.places[Number(axis)] ?? OFF;
    if (place < low || place > high) return false;
  }
  return true;
}

interface PictureProps {
  axes: readonly Axis[];
  lines: readonly Line[];
  brushes: Brushes;
  metric: string;
  onBrush: (brushes: Brushes) => void;
  onOpen: (trial: number) => void;
}

function Picture({ axes, lines, brushes, metric, onBrush, onOpen }: PictureProps) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const dark = useMedia("(prefers-color-scheme: dark)");
  const [width, setWidth] = useState(0);
  const [hovered, setHovered] = useState<{ line: Line; x: number; y: number } | null>(null);
  const drag = useRef<{ axis: number; from: number; moved: boolean } | null>(null);

  useEffect(() => {
    const element = host.current!;
    const measure = () => setWidth(Math.max(element.clientWidth, 2 * SIDE + AXIS_SPACE * (axes.length - 1)));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [axes.length]);

  const xOf = (axis: number) => SIDE + (axes.length < 2 ? 0 : (axis * (width - 2 * SIDE)) / (axes.length - 1));
  const yOf = (place: number | null) => HEIGHT - FOOT - (place ?? OFF) * (HEIGHT - TOP - FOOT);
  const placeOf = (y: number) => (HEIGHT - FOOT - y) / (HEIGHT - TOP - FOOT);

  useEffect(() => {
    if (width === 0) return;
    const theme = readTheme(canvas.current!);
    const ctx = prepare(canvas.current!, width);
    const cold = rgb(theme.cold);
    const gold = rgb(theme.gold);
    /* However many there are, about the best fifty stand out. */
    const alpha = Math.max(0.05, Math.min(0.75, 7 / Math.sqrt(lines.length)));
    const sharpness = Math.max(2, lines.length / 50);
    ctx.lineJoin = "round";
    const stroke = (line: Line) => {
      ctx.beginPath();
      line.places.forEach((place, k) => (k === 0 ? ctx.moveTo(xOf(k), yOf(place)) : ctx.lineTo(xOf(k), yOf(place))));
      ctx.stroke();
    };
    const selecting = Object.keys(brushes).length > 0;
    if (selecting) {
      ctx.strokeStyle = theme.line;
      ctx.lineWidth = 1;
      for (const line of lines) if (!passes(line, brushes)) stroke(line);
    }
    for (const line of lines) {
      if (selecting && !passes(line, brushes)) continue;
      const t = line.standing ** sharpness;
      ctx.strokeStyle = `rgb(${cold.map((c, i) => Math.round(c + (gold[i]! - c) * t)).join(" ")})`;
      ctx.globalAlpha = Math.min(1, alpha + 0.6 * t ** 2);
      ctx.lineWidth = line.standing === 1 ? 2.6 : 1.2;
      stroke(line);
    }
    ctx.globalAlpha = 1;
    ctx.font = "11px system-ui, sans-serif";
    axes.forEach((axis, k) => {
      const x = xOf(k);
      ctx.strokeStyle = theme.edge;
      ctx.lineWidth = 1;
      ctx.beginPath();
      ctx.moveTo(x, TOP);
      ctx.lineTo(x, HEIGHT - FOOT);
      ctx.stroke();
      ctx.textAlign = "center";
      ctx.fillStyle = theme.ink;
      ctx.font = "600 12px system-ui, sans-serif";
      ctx.fillText(shorten(ctx, axis.name, AXIS_SPACE - 8), x, 18);
      ctx.font = "11px system-ui, sans-serif";
      ctx.textAlign = k === 0 ? "right" : "left";
      ctx.textBaseline = "middle";
      const unused = lines.some((line) => line.places[k] === null) ? [{ at: OFF, text: "not used" }] : [];
      for (const tick of [...axis.ticks, ...unused]) {
        const dx = k === 0 ? -7 : 7;
        const text = shorten(ctx, tick.text, k === 0 ? SIDE - 10 : Math.min(AXIS_SPACE - 20, k === axes.length - 1 ? SIDE - 8 : AXIS_SPACE));
        ctx.lineWidth = 3;
        ctx.strokeStyle = theme.surface;
        ctx.strokeText(text, x + dx, yOf(tick.at));
        ctx.fillStyle = theme.dim;
        ctx.fillText(text, x + dx, yOf(tick.at));
      }
      ctx.textBaseline = "alphabetic";
      const brush = brushes[k];
      if (brush) {
        ctx.fillStyle = theme.accent;
        ctx.globalAlpha = 0.3;
        ctx.fillRect(x - 6, yOf(brush[1]), 12, yOf(brush[0]) - yOf(brush[1]));
        ctx.globalAlpha = 1;
        ctx.strokeStyle = theme.accent;
        ctx.lineWidth = 1.5;
        ctx.strokeRect(x - 6, yOf(brush[1]), 12, yOf(brush[0]) - yOf(brush[1]));
      }
    });
  }, [axes, lines, brushes, width, dark]);

  useEffect(() => {
    if (width === 0) return;
    const theme = readTheme(over.current!);
    const ctx = prepare(over.current!, width);
    if (!hovered) return;
    ctx.beginPath();
    hovered.line.places.forEach((place, k) => (k === 0 ? ctx.moveTo(xOf(k), yOf(place)) : ctx.lineTo(xOf(k), yOf(place))));
    ctx.lineJoin = "round";
    ctx.strokeStyle = theme.surface;
    ctx.lineWidth = 6;
    ctx.stroke();
    ctx.strokeStyle = theme.ink;
    ctx.lineWidth = 2.2;
    ctx.stroke();
  }, [hovered, width, dark]);

  const position = (event: PointerEvent): [number, number] => {
    const box = over.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const axisAt = (x: number) => axes.findIndex((_, k) => Math.abs(xOf(k) - x) <= REACH);
  const nearest = (x: number, y: number) => {
    const at = ((x - SIDE) / (width - 2 * SIDE)) * (axes.length - 1);
    const left = Math.min(Math.max(0, Math.floor(at)), axes.length - 2);
    const t = Math.min(1, Math.max(0, at - left));
    let found: Line | null = null;
    let shortest = 12;
    for (const line of lines) {
      if (!passes(line, brushes)) continue;
      const distance = Math.abs((1 - t) * yOf(line.places[left]!) + t * yOf(line.places[left + 1]!) - y);
      if (distance <= shortest) {
        shortest = distance;
        found = line;
      }
    }
    return found;
  };

  const onMove = (event: PointerEvent) => {
    const [x, y] = position(event);
    if (drag.current) {
      const to = Math.min(1.02, Math.max(-0.1, placeOf(y)));
      if (Math.abs(to - drag.current.from) > 0.012) {
        drag.current.moved = true;
        onBrush({ ...brushes, [drag.current.axis]: [Math.min(drag.current.from, to), Math.max(drag.current.from, to)] });
      }
      return;
    }
    const axis = axisAt(x);
    over.current!.style.cursor = axis >= 0 ? "ns-resize" : "";
    const line = axis >= 0 || axes.length < 2 ? null : nearest(x, y);
    setHovered(line ? { line, x, y } : null);
    if (line) over.current!.style.cursor = "pointer";
  };
  const onDown = (event: PointerEvent) => {
    const [x, y] = position(event);
    const axis = axisAt(x);
    if (axis < 0) return;
    setHovered(null);
    drag.current = { axis, from: Math.min(1.02, Math.max(-0.1, placeOf(y))), moved: false };
    over.current!.setPointerCapture(event.pointerId);
  };
  const onUp = () => {
    const ended = drag.current;
    drag.current = null;
    if (ended && !ended.moved) {
      const { [ended.axis]: _gone, ...rest } = brushes;
      onBrush(rest);
    } else if (!ended && hovered) onOpen(hovered.line.row.number);
  };

  return (
    <div class="parallel-box" ref={host}>
      <div class="parallel-inner" style={{ width: `${width}px`, height: `${HEIGHT}px` }}>
        <canvas ref={canvas} role="img" aria-label={`Parameters and ${metric} of ${plural(lines.length, "trial")}; the table of trials holds the same numbers`} />
        <canvas ref={over} aria-hidden="true" onPointerMove={onMove} onPointerDown={onDown} onPointerUp={onUp}
          onPointerLeave={() => !drag.current && setHovered(null)} />
        {hovered && (
          <div class="note" style={{ transform: `translate(${hovered.x > width / 2 ? hovered.x - 190 : hovered.x + 16}px, ${Math.min(hovered.y + 8, HEIGHT - 40 - 18 * axes.length)}px)` }}>
            <strong>Trial {hovered.line.row.number}, {STATE_WORDS[hovered.line.row.state]}</strong>
            <span>{metric} {formatNumber(hovered.line.value)}</span>
            {Object.entries(hovered.line.row.trial.parameters).map(([key, value]) => <span key={key}>{key} {formatParameter(value)}</span>)}
          </div>
        )}
      </div>
    </div>
  );
}

/** Sizes a canvas for the screen's pixels and clears it. */
function prepare(canvas: HTMLCanvasElement, width: number): CanvasRenderingContext2D {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  const ctx = canvas.getContext("2d")!;
  ctx.scale(ratio, ratio);
  return ctx;
}

function shorten(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  if (ctx.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && ctx.measureText(`${text.slice(0, end)}…`).width > width) end--;
  return `${text.slice(0, end)}…`;
}

function rgb(hex: string): number[] {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}
