// The training curves: all charts share the range of epochs, the cursor and the hidden lines.
import { ticks } from "d3-array";
import type { Chart, Series } from "./document";
import { digitsOf, type Words } from "./words";

const LEFT = 52;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 30;
const HEIGHT = 260;
const FEW = 4; // of so many epochs, the first one counts for the visible range

interface State {
  first: number;
  last: number;
  cursor: number | null;
  hidden: Set<string>;
}

/** The range of the values that are shown: of many epochs, without that of the first. */
export function visible(series: Series[], first: number, last: number): [number, number] {
  const skip = first === 1 && last > FEW ? 1 : 0;
  let low = Infinity;
  let high = -Infinity;
  for (const one of series) {
    for (let epoch = first + skip; epoch <= last; epoch++) {
      const value = one.values[epoch - 1];
      if (value == null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  if (low > high) return [0, 1];
  const room = 0.06 * (high - low) || 0.5 * Math.abs(high) || 1;
  return [low - room, high + room];
}

function svg(name: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text) element.textContent = text;
  return element;
}

class Plot {
  private readonly sheet: SVGSVGElement;
  private readonly readout: HTMLElement;
  private width = 420;
  private from: number | null = null; // where a drag began, in pixels

  constructor(
    figure: HTMLElement,
    private readonly chart: Chart,
    private readonly curves: Curves,
  ) {
    this.sheet = figure.querySelector("svg")!;
    this.readout = figure.querySelector(".readout")!;
    this.sheet.tabIndex = 0;
    this.sheet.setAttribute("role", "application");
    this.listen();
    new ResizeObserver(() => {
      this.width = Math.max(200, figure.clientWidth);
      this.draw();
    }).observe(figure);
  }

  private listen(): void {
    const { sheet, curves } = this;
    const place = (event: PointerEvent): number =>
      ((event.clientX - sheet.getBoundingClientRect().left) / sheet.clientWidth) * this.width;
    sheet.addEventListener("pointermove", (event) => {
      curves.point(this.epochAt(place(event)));
      if (this.from !== null) this.brush(this.from, place(event));
    });
    sheet.addEventListener("pointerleave", () => {
      if (this.from === null) curves.point(null);
    });
    sheet.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse") {
        this.from = place(event);
        sheet.setPointerCapture(event.pointerId);
      }
    });
    sheet.addEventListener("pointerup", (event) => {
      const [from, to] = [this.from, place(event)];
      this.from = null;
      if (from !== null && Math.abs(to - from) > 8) {
        const ends = [this.epochAt(from), this.epochAt(to)].sort((a, b) => a - b);
        curves.show(ends[0]!, ends[1]!);
      } else this.draw();
    });
    sheet.addEventListener("dblclick", () => curves.zoom("all"));
    sheet.addEventListener("keydown", (event) => {
      const state = curves.state;
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const zoom = { "+": "in", "=": "in", "-": "out", "0": "all", Escape: "all" }[event.key];
      if (step)
        curves.point((state.cursor ?? (step > 0 ? state.first - 1 : state.last + 1)) + step);
      else if (zoom) curves.zoom(zoom);
      else return;
      event.preventDefault();
    });
    sheet.addEventListener("blur", () => curves.point(null));
  }

  private x(epoch: number): number {
    const { first, last } = this.curves.state;
    const share = last > first ? (epoch - first) / (last - first) : 0.5;
    return LEFT + share * (this.width - LEFT - RIGHT);
  }

  private epochAt(x: number): number {
    const { first, last } = this.curves.state;
    const share = (x - LEFT) / (this.width - LEFT - RIGHT);
    return Math.min(last, Math.max(first, Math.round(first + share * (last - first))));
  }

  private brush(from: number, to: number): void {
    const [a, b] = [Math.min(from, to), Math.max(from, to)];
    this.sheet.append(
      svg("rect", { class: "brush", x: a, y: TOP, width: b - a, height: HEIGHT - TOP - BOTTOM }),
    );
  }

  draw(): void {
    const { state, words } = this.curves;
    const shown = this.chart.series.filter((one) => !state.hidden.has(one.name));
    const [low, high] = visible(shown, state.first, state.last);
    const y = (value: number): number =>
      HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    const end = this.width - RIGHT;
    const parts: SVGElement[] = [];
    for (const value of ticks(low, high, 5)) {
      const at = y(value);
      parts.push(svg("line", { class: "grid", x1: LEFT, x2: end, y1: at, y2: at }));
      const name = { x: LEFT - 6, y: at + 4, "text-anchor": "end" };
      parts.push(svg("text", name, words.tick(value)));
    }
    const base = HEIGHT - BOTTOM;
    const axis = { x: LEFT - 6, y: HEIGHT - 12, "text-anchor": "end" };
    parts.push(svg("text", axis, words.t("epoch")));
    parts.push(svg("line", { class: "axis", x1: LEFT, x2: end, y1: base, y2: base }));
    for (const epoch of ticks(state.first, state.last, 5)) {
      if (!Number.isInteger(epoch)) continue;
      const anchor = this.x(epoch) > end - 15 ? "end" : "middle";
      const name = { x: this.x(epoch), y: HEIGHT - 12, "text-anchor": anchor };
      parts.push(svg("text", name, words.tick(epoch)));
    }
    // An inner SVG clips its lines to the plane.
    const box = [LEFT, TOP - 4, end - LEFT + 4, base - TOP + 8];
    const plane = svg("svg", {
      x: box[0]!,
      y: box[1]!,
      width: box[2]!,
      height: box[3]!,
      viewBox: box.join(" "),
    });
    for (const one of shown) plane.append(...this.lines(one, y));
    parts.push(plane);
    if (state.cursor !== null) {
      const at = this.x(state.cursor);
      plane.prepend(svg("line", { class: "cursor", x1: at, x2: at, y1: TOP, y2: base }));
      for (const one of shown) {
        const value = one.values[state.cursor - 1];
        if (value != null) {
          plane.append(svg("circle", { class: `dot ${one.style}`, cx: at, cy: y(value), r: 4 }));
        }
      }
    }
    this.sheet.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    this.sheet.replaceChildren(...parts);
    this.readout.textContent = this.said(shown, high - low);
  }

  private lines(one: Series, y: (value: number) => number): SVGElement[] {
    const { first, last } = this.curves.state;
    const kind = `${one.style}${one.dashed ? " dashed" : ""}`;
    const found: SVGElement[] = [];
    let points: string[] = [];
    for (let epoch = first; epoch <= last + 1; epoch++) {
      const value = epoch <= last ? one.values[epoch - 1] : null;
      if (value != null) points.push(`${this.x(epoch).toFixed(1)},${y(value).toFixed(1)}`);
      else if (points.length) {
        if (points.length === 1) {
          const [cx, cy] = points[0]!.split(",");
          found.push(svg("circle", { class: `dot ${one.style}`, cx: cx!, cy: cy!, r: 3 }));
        }
        found.push(svg("polyline", { class: `line ${kind}`, points: points.join(" ") }));
        points = [];
      }
    }
    return found;
  }

  /** The values of the first epoch that lie outside the visible range. */
  private outside(shown: Series[]): string {
    const { state, words } = this.curves;
    const [low, high] = visible(shown, state.first, state.last);
    const far = shown.flatMap((one) => {
      const value = one.values[0];
      if (state.first > 1 || value == null || (low <= value && value <= high)) return [];
      return [`${one.name} ${words.number(value, 1)}`];
    });
    return far.length ? words.t("outside", { values: far.join(", ") }) : "";
  }

  private said(shown: Series[], span: number): string {
    const { cursor } = this.curves.state;
    const { words } = this.curves;
    if (cursor === null) return this.outside(shown);
    const values = shown.flatMap((one) => {
      const value = one.values[cursor - 1];
      return value == null ? [] : [`${one.name} ${words.number(value, digitsOf(span))}`];
    });
    return `${words.t("epoch")} ${cursor}: ${values.join(", ")}`;
  }
}

/** All charts of a page. */
export class Curves {
  readonly state: State;
  private readonly plots: Plot[];
  private readonly epochs: number;

  constructor(
    root: HTMLElement,
    charts: Chart[],
    readonly words: Words,
  ) {
    this.epochs = Math.max(...charts.flatMap((c) => c.series.map((s) => s.values.length)));
    this.state = { first: 1, last: this.epochs, cursor: null, hidden: new Set() };
    this.plots = [...root.querySelectorAll<HTMLElement>("[data-chart]")].map(
      (figure) => new Plot(figure, charts[Number(figure.dataset["chart"])]!, this),
    );
    for (const button of root.querySelectorAll<HTMLElement>("[data-zoom]")) {
      button.addEventListener("click", () => this.zoom(button.dataset["zoom"]!));
    }
    for (const key of root.querySelectorAll<HTMLElement>("[data-series]")) {
      key.addEventListener("click", () => this.toggle(key));
    }
  }

  private toggle(key: HTMLElement): void {
    const { hidden } = this.state;
    const name = key.dataset["series"]!;
    if (!hidden.delete(name)) hidden.add(name);
    key.setAttribute("aria-pressed", String(!hidden.has(name)));
    this.draw();
  }

  /** Show the epochs from `first` to `last`, at least two. */
  show(first: number, last: number): void {
    const width = Math.min(this.epochs, Math.max(2, last - first + 1));
    this.state.first = Math.min(Math.max(1, first), this.epochs - width + 1);
    this.state.last = this.state.first + width - 1;
    this.point(null);
  }

  zoom(how: string): void {
    if (how === "all") return this.show(1, this.epochs);
    const { first, last, cursor } = this.state;
    const middle = cursor ?? Math.round((first + last) / 2);
    const width = (last - first + 1) * (how === "in" ? 0.5 : 2);
    const start = Math.round(middle - width / 2);
    this.show(start, start + Math.round(width) - 1);
  }

  /** Put the cursor at an epoch, or take it away. */
  point(epoch: number | null): void {
    const { first, last } = this.state;
    this.state.cursor = epoch === null ? null : Math.min(last, Math.max(first, epoch));
    this.draw();
  }

  private draw(): void {
    for (const plot of this.plots) plot.draw();
  }
}
