// Test images and decoded rows as pictures: images, signals as lines, tables as bars.
import type { Payload, Ref } from "../shared/payload";
import type { Album, DataDocument, ExplorerDocument, RunDocument } from "./document";
import { type Palette, onPaper } from "./colours";

const LINES = ["#0014c4", "#00c878", "#ff0089", "#149dd8", "#001414", "#9d27ff"];

/** The height and the width of the picture of a row in pixels of the data. */
export class Pictures {
  readonly height: number;
  readonly width: number;
  readonly channels: number; // of the embedded pixels
  private readonly rows: Partial<Record<Album, Uint8Array | Float32Array>>;
  private readonly size: number; // stored numbers of a row
  private readonly tiles = new Map<string, HTMLCanvasElement>();
  private readonly ranges: [number, number][] = []; // of the features of a table
  private sheet: ImageData | null = null; // the decoded pixels, before they are on a canvas

  constructor(
    readonly data: DataDocument,
    private readonly run: RunDocument,
    payload: Payload<ExplorerDocument>,
    private palette: Palette,
  ) {
    const { values } = run.images;
    const load = (ref: Ref) => payload.raw(ref) as Uint8Array | Float32Array;
    this.rows = { images: load(values) };
    for (const album of ["reconstructions", "samples", "means"] as const) {
      const ref = run.stored?.[album];
      if (ref) this.rows[album] = load(ref);
    }
    this.size = values.shape.slice(1).reduce((a, b) => a * b, 1);
    this.channels = data.form === "image" ? (values.shape[3] ?? 1) : 0;
    const image = data.form === "image";
    this.height = image ? values.shape[1]! : 72;
    this.width = image ? values.shape[2]! : 96;
    if (data.form === "table") {
      for (let j = 0; j < this.size; j++) {
        const column = this.rows.images!.filter((_: number, i: number) => i % this.size === j);
        this.ranges.push([Math.min(0, ...column), Math.max(0, ...column)]);
      }
    }
  }

  /** Rows of the data's elements: channels, height and width of an image. */
  get layout(): [number, number, number] {
    const { shape } = this.data;
    return shape.length === 3 ? [shape[0]!, shape[1]!, shape[2]!] : [1, shape[0]!, shape[1] ?? 1];
  }

  repaint(palette: Palette): void {
    this.palette = palette;
    if (this.data.form !== "image") this.tiles.clear();
  }

  /** Whether `values` gives what the model sees of a test image. */
  get whole(): boolean {
    return this.run.images.whole;
  }

  private row(image: number, album: Album): Uint8Array | Float32Array {
    return this.rows[album]!.subarray(image * this.size, (image + 1) * this.size);
  }

  /** A test image, or another row, as the model sees it, (D,). */
  values(image: number, album: Album = "images"): Float32Array {
    const row = this.row(image, album);
    if (this.data.form !== "image") return this.fromSteps(row as Float32Array);
    const [low, high] = this.run.display;
    const top = this.run.levels - 1;
    const [channels, height, width] = this.layout;
    const values = new Float32Array(channels * height * width);
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < height * width; i++) {
        const share = row[i * this.channels + c]! / 255;
        const exact = top > 0 ? Math.round(share * top) / top : share;
        values[c * height * width + i] = low + exact * (high - low);
      }
    }
    return values;
  }

  /** The embedded (T, C) of a signal or table in the data's own layout. */
  private fromSteps(row: Float32Array): Float32Array {
    const { shape } = this.data;
    if (shape.length < 2) return row;
    const channels = shape[0]!;
    const steps = row.length / channels;
    return row.map((_, i) => row[(i % steps) * channels + Math.floor(i / steps)]!);
  }

  /** A small picture of a test image, or of another row, kept once it was made. */
  tile(image: number, album: Album = "images"): HTMLCanvasElement {
    const key = `${album} ${image}`;
    let tile = this.tiles.get(key);
    if (!tile) {
      tile = document.createElement("canvas");
      if (this.data.form === "image") this.paintPixels(tile, this.row(image, album));
      else this.paint(tile, this.values(image, album), 96, 72);
      this.tiles.set(key, tile);
    }
    return tile;
  }

  /** Paints a row as large as `paint` does; an image as the page holds it. */
  paintRow(
    canvas: HTMLCanvasElement,
    image: number,
    album: Album,
    width: number,
    height: number,
  ): void {
    if (this.data.form === "image") this.paintPixels(canvas, this.row(image, album));
    else this.paint(canvas, this.values(image, album), width, height);
  }

  private paintPixels(canvas: HTMLCanvasElement, row: Uint8Array | Float32Array): void {
    const { width, height, channels } = this;
    canvas.width = width;
    canvas.height = height;
    const sheet = new ImageData(width, height);
    for (let i = 0, p = 0; i < sheet.data.length; i += 4, p += channels) {
      sheet.data[i] = row[p]!;
      sheet.data[i + 1] = row[channels === 3 ? p + 1 : p]!;
      sheet.data[i + 2] = row[channels === 3 ? p + 2 : p]!;
      sheet.data[i + 3] = 255;
    }
    canvas.getContext("2d")!.putImageData(sheet, 0, 0);
  }

  /** Paints a row of the data; signals and tables at the given size in CSS pixels. */
  paint(canvas: HTMLCanvasElement, values: Float32Array, width = 320, height = 240): void {
    if (this.data.form === "image") {
      this.paintImage(canvas, values);
      return;
    }
    const scale = Math.min(3, devicePixelRatio || 1);
    resize(canvas, Math.round(width * scale), Math.round(height * scale));
    const pen = canvas.getContext("2d")!;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.fillStyle = this.palette.paper;
    pen.fillRect(0, 0, width, height);
    if (this.data.form === "signal") this.paintLines(pen, values, width, height);
    else this.paintBars(pen, values, width, height);
  }

  private paintImage(canvas: HTMLCanvasElement, values: Float32Array): void {
    const [channels, height, width] = this.layout;
    const size = height * width;
    const [low, high] = this.run.display;
    const gain = 255 / (high - low || 1);
    resize(canvas, width, height);
    const sheet = (this.sheet ??= new ImageData(width, height));
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < 3; c++) {
        sheet.data[4 * i + c] = gain * (this.shade(values, i, c, channels, size) - low);
      }
      sheet.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d")!.putImageData(sheet, 0, 0);
  }

  private shade(
    values: Float32Array,
    i: number,
    c: number,
    channels: number,
    size: number,
  ): number {
    if (channels === 1) return values[i]!;
    if (channels === 3) return values[c * size + i]!;
    if (channels === 4) {
      const alpha = values[3 * size + i]!;
      return values[c * size + i]! * alpha + this.run.display[1] * (1 - alpha);
    }
    let sum = 0;
    for (let k = 0; k < channels; k++) sum += values[k * size + i]!;
    return sum / channels;
  }

  private paintLines(
    pen: CanvasRenderingContext2D,
    values: Float32Array,
    width: number,
    height: number,
  ): void {
    const { shape } = this.data;
    const channels = shape.length < 2 ? 1 : shape[0]!;
    const steps = values.length / channels;
    const [low, high] = this.run.display;
    const up = (value: number) => height - 6 - ((value - low) / (high - low || 1)) * (height - 12);
    pen.strokeStyle = this.palette.line;
    pen.lineWidth = 1;
    pen.strokeRect(0.5, 0.5, width - 1, height - 1);
    if (low < 0 && high > 0)
      line(pen, [
        [0, up(0)],
        [width, up(0)],
      ]);
    pen.lineWidth = width > 150 ? 2 : 1.25;
    pen.lineJoin = "round";
    for (let c = 0; c < channels; c++) {
      pen.strokeStyle = onPaper(LINES[c % LINES.length]!, this.palette.dark);
      const points: [number, number][] = [];
      for (let t = 0; t < steps; t++) {
        const value = values[c * steps + t]!;
        points.push([4 + (t * (width - 8)) / Math.max(1, steps - 1), up(value)]);
      }
      line(pen, points);
    }
  }

  private paintBars(
    pen: CanvasRenderingContext2D,
    values: Float32Array,
    width: number,
    height: number,
  ): void {
    const named = width > 150;
    const row = height / values.length;
    const left = named ? Math.min(130, width * 0.4) : 0;
    const right = named ? 60 : 0;
    pen.font = `${Math.min(13, row * 0.75)}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    values.forEach((value, i) => {
      const [low, high] = this.ranges[i]!;
      const place = (v: number) => {
        const share = Math.min(1, Math.max(0, (v - low) / (high - low || 1)));
        return left + share * (width - left - right);
      };
      const origin = place(0);
      const middle = (i + 0.5) * row;
      pen.fillStyle = this.palette.shade;
      pen.fillRect(left, middle - row * 0.4, width - left - right, row * 0.8);
      pen.fillStyle = onPaper("#149dd8", this.palette.dark);
      const end = place(value);
      const thick = Math.max(1, Math.min(row - 2, 16));
      pen.fillRect(Math.min(origin, end), middle - thick / 2, Math.abs(end - origin) || 1, thick);
      pen.fillStyle = this.palette.quiet;
      pen.fillRect(origin, middle - row * 0.4, 1, row * 0.8);
      if (!named) return;
      pen.fillStyle = this.palette.ink;
      pen.textAlign = "right";
      pen.fillText(
        shortened(pen, this.data.features[i] ?? `x${i + 1}`, left - 8),
        left - 6,
        middle,
      );
      pen.textAlign = "left";
      pen.fillText(String(Number(value.toPrecision(3))), width - right + 6, middle);
    });
  }
}

function resize(canvas: HTMLCanvasElement, width: number, height: number): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

export function line(pen: CanvasRenderingContext2D, points: [number, number][]): void {
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}

function shortened(pen: CanvasRenderingContext2D, text: string, most: number): string {
  if (pen.measureText(text).width <= most) return text;
  let kept = text;
  while (kept && pen.measureText(`${kept}…`).width > most) kept = kept.slice(0, -1);
  return `${kept}…`;
}
