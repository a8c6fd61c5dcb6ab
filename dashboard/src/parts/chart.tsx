/** uPlot inside preact: sizes, colours from the style sheet, and a note that follows the pointer. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatNumber } from "../format";
import { useMedia } from "../live";

export interface Theme {
  ink: string;
  dim: string;
  line: string;
  surface: string;
  gold: string;
  /** The other end of the scale that ends in gold. */
  cold: string;
  edge: string;
  accent: string;
  state: (state: string) => string;
}

/** The colours that hold at this element now. */
export function readTheme(element: Element): Theme {
  const css = getComputedStyle(element);
  const pick = (name: string) => css.getPropertyValue(name).trim();
  return {
    ink: pick("--ink"),
    dim: pick("--dim"),
    line: pick("--line"),
    surface: pick("--surface"),
    gold: pick("--gold-line"),
    cold: pick("--cold"),
    edge: pick("--edge"),
    accent: pick("--accent"),
    state: (state) => pick(`--s-${state}`) || pick("--dim"),
  };
}

const FONT = "11px system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";

export function axes(theme: Theme, xLabel: string): uPlot.Axis[] {
  const base = {
    stroke: theme.dim,
    font: FONT,
    labelFont: FONT,
    grid: { stroke: theme.line, width: 1 },
    ticks: { show: false },
    border: { show: false },
  };
  return [
    { ...base, grid: { show: false }, label: xLabel, labelSize: 15, labelGap: -3, size: 22, gap: 5, space: 60,
      values: (_u, ticks) => ticks.map((v) => (Number.isInteger(v) ? formatNumber(v) : "")) },
    { ...base, space: 34, gap: 6,
      size: (_u, values) => 16 + Math.max(24, ...(values ?? []).map((v) => 6.6 * v.length)),
      values: (_u, ticks) => ticks.map((v) => (v === null ? "" : formatNumber(v, 4))) },
  ];
}

/** Adds air around a range; a flat one gets some height. */
export function padded(min: number, max: number, log: boolean): [number, number] {
  if (log) return min === max ? [min / 2, max * 2] : [min / (max / min) ** 0.04, max * (max / min) ** 0.04];
  const air = min === max ? Math.max(Math.abs(min) * 0.1, 1e-9) : 0.05 * (max - min);
  return [min - air, max + air];
}

interface ChartProps {
  /** What the chart shows, said in a sentence for those who can't see it. */
  label: string;
  data: uPlot.AlignedData;
  /** Makes the options; called again only when a key or the colour scheme changes. */
  options: (theme: Theme) => Omit<uPlot.Options, "width" | "height">;
  keys: readonly unknown[];
  height?: number;
  /** Changes when something is drawn that is not in data. */
  redraw?: unknown;
}

export function Chart({ label, data, options, keys, height = 260, redraw }: ChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = useMedia("(prefers-color-scheme: dark)");
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const element = host.current!;
    const u = new uPlot({ ...options(readTheme(element)), width: Math.max(80, element.clientWidth), height },
      latest.current, element);
    plot.current = u;
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== u.width) u.setSize({ width, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [...keys, dark, height]);

  useEffect(() => {
    const u = plot.current;
    if (!u || u.data === data) return;
    const zoomed = isZoomed(u);
    u.setData(data, !zoomed);
    if (zoomed) u.redraw();
  }, [data]);

  useEffect(() => {
    plot.current?.redraw(false);
  }, [redraw]);

  return <div class="chart" ref={host} role="img" aria-label={label} />;
}

/** Whether the reader has dragged a part of the x axis larger. */
function isZoomed(u: uPlot): boolean {
  return (u as uPlot & { assayZoomed?: boolean }).assayZoomed === true;
}

/** Remembers a zoom by dragging, so that new data doesn't undo it; a double click ends it. */
export const zoomMemory: uPlot.Plugin = {
  hooks: {
    setSelect: (u) => {
      if (u.select.width > 0) (u as uPlot & { assayZoomed?: boolean }).assayZoomed = true;
    },
    init: (u) => u.over.addEventListener("dblclick", () => {
      (u as uPlot & { assayZoomed?: boolean }).assayZoomed = false;
    }),
  },
};

/** A note beside the pointer. Text only, so nothing a trial reports can become markup. */
export class Note {
  #element = document.createElement("div");

  constructor(u: uPlot) {
    this.#element.className = "note";
    this.#element.hidden = true;
    u.over.appendChild(this.#element);
  }

  hide(): void {
    this.#element.hidden = true;
  }

  show(u: uPlot, left: number, top: number, lines: readonly string[]): void {
    this.#element.replaceChildren(...lines.map((text, i) => {
      const line = document.createElement(i === 0 ? "strong" : "span");
      line.textContent = text;
      return line;
    }));
    this.#element.hidden = false;
    const width = this.#element.offsetWidth;
    const height = this.#element.offsetHeight;
    const x = left + 14 + width > u.over.clientWidth ? left - 14 - width : left + 14;
    const y = Math.min(Math.max(0, top - height / 2), u.over.clientHeight - height);
    this.#element.style.transform = `translate(${Math.max(0, x)}px, ${y}px)`;
  }
}
