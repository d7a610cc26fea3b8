// The latent plane: a canvas of points, and the image of the one under the pointer.
import { ticks } from "d3-array";
import { quadtree } from "d3-quadtree";
import { cellText } from "../shared/cells";
import type { Payload } from "../shared/payload";
import type { Latent, Report } from "./document";
import type { Words } from "./words";

const EDGE = 34; // pixels beside the plane, for the ticks
const NEAR = 24; // pixels within which the pointer finds a point
const COLUMNS = 12; // of the row of a point
const PICTURE = 112; // pixels of the longer side of the image of a point

const dark = matchMedia("(prefers-color-scheme: dark)");

export class Scatter {
  private readonly canvas = document.createElement("canvas");
  private readonly mark = document.createElement("canvas");
  private readonly points: Float32Array;
  private readonly classes: Uint8Array;
  private readonly n: number;
  private readonly shown: boolean[];
  private readonly order: Uint32Array;
  private readonly middle: [number, number];
  private readonly reach: number;
  private tree = quadtree<number>();
  private size = 0;
  private chosen: number | null = null;

  constructor(
    private readonly root: HTMLElement,
    private readonly payload: Payload<Report>,
    private readonly latent: Latent,
    private readonly words: Words,
  ) {
    this.points = payload.floats(latent.points);
    this.classes = payload.raw(latent.classes) as Uint8Array;
    this.n = this.classes.length;
    this.shown = latent.named.map(() => true);
    this.order = shuffled(this.n);
    const [a, b] = [extent(this.points.subarray(0, this.n)), extent(this.points.subarray(this.n))];
    this.middle = [(a[0] + a[1]) / 2, (b[0] + b[1]) / 2];
    this.reach = 0.53 * Math.max(a[1] - a[0], b[1] - b[0], 1e-6);
    const plane = root.querySelector<HTMLElement>(".plane")!;
    const image = plane.querySelector("img")!;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", image.alt);
    this.mark.className = "near";
    this.mark.hidden = true;
    for (const old of plane.querySelectorAll(".static")) old.remove();
    plane.append(this.canvas, this.mark);
    this.listen();
    new ResizeObserver(() => this.resize()).observe(plane);
    dark.addEventListener("change", () => this.draw());
  }

  private listen(): void {
    this.canvas.addEventListener("pointermove", (event) => {
      const box = this.canvas.getBoundingClientRect();
      this.choose(this.tree.find(event.clientX - box.left, event.clientY - box.top, NEAR) ?? null);
    });
    this.canvas.addEventListener("pointerleave", () => this.choose(null));
    this.canvas.addEventListener("blur", () => this.choose(null));
    this.canvas.addEventListener("keydown", (event) => {
      const way = {
        ArrowLeft: [-1, 0],
        ArrowRight: [1, 0],
        ArrowUp: [0, -1],
        ArrowDown: [0, 1],
      }[event.key] as [number, number] | undefined;
      if (way) this.step(...way);
      else if (event.key === "Escape") this.choose(null);
      else return;
      event.preventDefault();
    });
    for (const key of this.root.querySelectorAll<HTMLElement>("[data-class]")) {
      key.addEventListener("click", () => this.only(Number(key.dataset["class"])));
    }
  }

  /** Show one class alone; all of them where it was alone. */
  private only(one: number): void {
    const alone = this.shown[one] && this.shown.filter(Boolean).length === 1;
    this.shown.forEach((_, i) => (this.shown[i] = alone || i === one));
    for (const key of this.root.querySelectorAll<HTMLElement>("[data-class]")) {
      key.setAttribute("aria-pressed", String(this.shown[Number(key.dataset["class"])]));
    }
    this.choose(null);
    this.resize();
  }

  private x = (i: number): number => this.place(this.points[i]!, 0);
  private y = (i: number): number => this.place(this.points[this.n + i]!, 1);

  private place(value: number, axis: 0 | 1): number {
    const share = (value - this.middle[axis]) / (2 * this.reach);
    const room = this.size - EDGE;
    return axis === 0 ? EDGE + (share + 0.5) * room : (0.5 - share) * room;
  }

  private resize(): void {
    this.size = this.canvas.clientWidth;
    const visible = [...this.order].filter((i) => this.shown[this.classes[i]!]);
    this.tree = quadtree<number>().x(this.x).y(this.y).addAll(visible);
    this.draw();
  }

  /** Move to the nearest point in a direction. */
  private step(dx: number, dy: number): void {
    const start = this.chosen;
    if (start === null) {
      this.choose(this.tree.find(this.size / 2, this.size / 2) ?? null);
      return;
    }
    const [x, y] = [this.x(start), this.y(start)];
    let best: number | null = null;
    let least = Infinity;
    for (const i of this.tree.data()) {
      const [a, b] = [this.x(i) - x, this.y(i) - y];
      const along = a * dx + b * dy;
      const beside = Math.abs(a * dy) + Math.abs(b * dx);
      if (i !== start && along > 1 && beside <= along && along + beside < least) {
        best = i;
        least = along + beside;
      }
    }
    if (best !== null) this.choose(best);
  }

  private draw(): void {
    const scale = devicePixelRatio || 1;
    const { canvas, size } = this;
    if (!size) return;
    canvas.width = canvas.height = Math.round(size * scale);
    const pen = canvas.getContext("2d")!;
    pen.scale(scale, scale);
    const style = getComputedStyle(canvas);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    this.drawAxes(pen, colour("--quiet"), colour("--line"));
    const colours = this.latent.named.map((one) => (dark.matches ? one.dark : one.light));
    const radius = this.n > 3000 ? 1.6 : this.n > 500 ? 2.4 : 3.4;
    pen.globalAlpha = this.n > 3000 ? 0.7 : 0.85;
    for (const i of this.order) {
      const one = this.classes[i]!;
      if (!this.shown[one]) continue;
      pen.fillStyle = colours[one]!;
      drawMark(pen, this.x(i), this.y(i), radius, this.latent.named[one]!.marker);
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = colour("--quiet");
    pen.setLineDash([5, 4]);
    pen.save();
    pen.beginPath();
    pen.rect(EDGE, 0, size - EDGE, size - EDGE);
    pen.clip();
    for (const radius of this.latent.circles) {
      const wide = (radius / (2 * this.reach)) * (size - EDGE);
      pen.beginPath();
      pen.arc(this.place(0, 0), this.place(0, 1), wide, 0, 2 * Math.PI);
      pen.stroke();
    }
    pen.restore();
    pen.setLineDash([]);
    if (this.chosen !== null) {
      pen.strokeStyle = colour("--ink");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(this.x(this.chosen), this.y(this.chosen), radius + 4, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  private drawAxes(pen: CanvasRenderingContext2D, ink: string, line: string): void {
    const { size, middle, reach } = this;
    const end = size - EDGE;
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = ink;
    pen.strokeStyle = line;
    pen.strokeRect(EDGE, 0.5, end - 0.5, end);
    pen.textAlign = "center";
    for (const value of ticks(middle[0] - reach, middle[0] + reach, 6)) {
      pen.fillText(this.words.tick(value), this.place(value, 0), end + 14);
    }
    pen.fillText(this.latent.axes[0], EDGE + end / 2, end + 29);
    pen.textAlign = "right";
    for (const value of ticks(middle[1] - reach, middle[1] + reach, 6)) {
      const at = this.place(value, 1);
      if (at > 8 && at < end - 4) pen.fillText(this.words.tick(value), EDGE - 4, at + 4);
    }
    pen.save();
    pen.translate(EDGE + 14, end / 2);
    pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    pen.fillText(this.latent.axes[1], 0, 0);
    pen.restore();
  }

  private choose(i: number | null): void {
    if (i === this.chosen) return;
    this.chosen = i;
    this.draw();
    const said = this.root.querySelector<HTMLElement>("[data-said]")!;
    const large = this.root.querySelector<HTMLCanvasElement>("[data-hovered]")!;
    const picture = i === null ? null : this.picture(i);
    this.mark.hidden = large.hidden = picture === null;
    const how = this.latent.values ? "latent_how_row" : "latent_how";
    said.textContent = i === null ? this.words.t(how) : this.said(i);
    if (i === null || picture === null) return;
    paint(large, picture, PICTURE);
    paint(this.mark, picture, PICTURE / 2);
    const wide = this.mark.width;
    const left = this.x(i) + (this.x(i) + wide + 16 > this.size ? -wide - 14 : 12);
    const top = Math.max(0, this.y(i) - this.mark.height - 12);
    this.mark.style.left = `${left}px`;
    this.mark.style.top = `${top}px`;
  }

  private said(i: number): string {
    const number = this.payload.floats(this.latent.index)[i]!;
    const parts = [this.words.t("point_said", { index: number })];
    const name = this.latent.named[this.classes[i]!]!.name;
    if (name) parts.push(this.words.t("class_named", { name }));
    parts.push(
      `(${[0, 1].map((k) => this.words.number(this.points[k * this.n + i]!, 2)).join("; ")})`,
    );
    if (this.latent.values) {
      const width = this.latent.values.shape[1]!;
      const row = this.payload.floats(this.latent.values).subarray(i * width, (i + 1) * width);
      const known = this.latent.columns.slice(0, COLUMNS).map((column, j) => {
        const text = cellText(column, row[j]!, this.payload.document.lang);
        return text && `${column.name}: ${text}`;
      });
      parts.push(known.filter(Boolean).join(" · "));
    }
    return parts.join(", ");
  }

  /** The image of a point as RGBA. */
  private picture(i: number): ImageData | null {
    const ref = this.latent.images;
    if (!ref) return null;
    const [, height, width, channels] = ref.shape as [number, number, number, number];
    const all = this.payload.raw(ref) as Uint8Array;
    const image = new ImageData(width, height);
    const start = i * height * width * channels;
    for (let pixel = 0; pixel < height * width; pixel++) {
      for (let k = 0; k < 3; k++) {
        image.data[4 * pixel + k] = all[start + pixel * channels + (channels === 3 ? k : 0)]!;
      }
      image.data[4 * pixel + 3] = 255;
    }
    return image;
  }
}

function paint(canvas: HTMLCanvasElement, image: ImageData, longer: number): void {
  const scale = longer / Math.max(image.width, image.height);
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  const small = document.createElement("canvas");
  small.width = image.width;
  small.height = image.height;
  small.getContext("2d")!.putImageData(image, 0, 0);
  const pen = canvas.getContext("2d")!;
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function drawMark(
  pen: CanvasRenderingContext2D,
  x: number,
  y: number,
  r: number,
  kind: number,
): void {
  if (kind === 2) {
    pen.fillRect(x - r, y - r, 2 * r, 2 * r);
    return;
  }
  pen.beginPath();
  if (kind === 1) {
    pen.moveTo(x, y - 1.3 * r);
    pen.lineTo(x + 1.2 * r, y + r);
    pen.lineTo(x - 1.2 * r, y + r);
  } else pen.arc(x, y, r, 0, 2 * Math.PI);
  pen.fill();
}

function extent(values: Float32Array): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

/** 0 .. n-1 in an order that is the same every time, so that no class hides another. */
function shuffled(n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let seed = 1;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = seed % (i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
