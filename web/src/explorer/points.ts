// The lower canvas of the plane: grid, prior, points, and thumbnails where there is room.
import { ticks } from "d3-array";
import type { Camera } from "./camera";
import type { Colouring, Palette } from "./colours";
import type { DecodedMap } from "./map";
import type { Pictures } from "./images";
import type { Words } from "./words";

const FAINT = 0.12; // opacity of points outside a region
export const THUMBNAILS = 2.5; // the zoom from which points become thumbnails

export interface Layer {
  xs: Float32Array;
  ys: Float32Array;
  order: Uint32Array; // the order of painting
  colouring: Colouring;
  pictures: Pictures;
  marked: Set<number> | null; // the region; null: none
  prior: "circles" | "lines" | "samples" | "none";
  priorPlaces: [Float32Array, Float32Array] | null;
  large: boolean;
  map: DecodedMap | null;
}

/** Paints the layer and returns the images that it shows as thumbnails, by their pixel places. */
export function paintPoints(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  layer: Layer,
  colours: Palette,
  words: Words,
): void {
  const { width, height } = camera;
  pen.fillStyle = colours.paper;
  pen.fillRect(0, 0, width, height);
  layer.map?.paint(pen, camera);
  paintGrid(pen, camera, colours, words, layer);
  paintSamples(pen, camera, layer, colours);
  const shown = thumbnails(camera, layer);
  paintDots(pen, camera, layer, shown, colours);
  paintPrior(pen, camera, layer, colours);
  paintThumbnails(pen, camera, layer, shown);
}

function paintGrid(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  colours: Palette,
  words: Words,
  layer: Layer,
): void {
  const { width, height } = camera;
  const [left, top] = camera.place([0, 0]);
  const [right, bottom] = camera.place([width, height]);
  const many = Math.max(3, Math.round(width / 110));
  pen.lineWidth = 1;
  pen.strokeStyle = colours.line;
  pen.fillStyle = colours.quiet;
  pen.font = `${layer.large ? 15 : 11}px system-ui, sans-serif`;
  const steps = ticks(left, right, many);
  const digits = decimals(steps);
  pen.textAlign = "center";
  pen.textBaseline = "bottom";
  for (const value of steps) {
    const x = Math.round(camera.px(value)) + 0.5;
    pen.globalAlpha = value === 0 ? 1 : 0.45;
    stroke(pen, x, 0, x, height);
    pen.globalAlpha = 1;
    if (x > 24 && x < width - 24) label(pen, words.number(value, digits), x, height - 4, colours);
  }
  if (layer.prior === "lines") return;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  const size = Math.abs((steps[1] ?? 1) - (steps[0] ?? 0)) || 1;
  for (let i = Math.ceil(bottom / size); i * size <= top; i++) {
    const y = Math.round(camera.py(i * size)) + 0.5;
    pen.globalAlpha = i === 0 ? 1 : 0.45;
    stroke(pen, 0, y, width, y);
    pen.globalAlpha = 1;
    if (y > 14 && y < height - 26) label(pen, words.number(i * size, digits), 6, y, colours);
  }
}

/** Text that can be read on anything. */
function label(
  pen: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  colours: Palette,
): void {
  pen.save();
  pen.lineWidth = 3;
  pen.strokeStyle = colours.paper;
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
  pen.restore();
}

function decimals(steps: number[]): number {
  const size = Math.abs((steps[1] ?? 1) - (steps[0] ?? 0)) || 1;
  return Math.max(0, Math.ceil(-Math.log10(size) - 1e-9));
}

function stroke(pen: CanvasRenderingContext2D, a: number, b: number, c: number, d: number): void {
  pen.beginPath();
  pen.moveTo(a, b);
  pen.lineTo(c, d);
  pen.stroke();
}

/** Samples of a prior without contours, as small crosses. */
function paintSamples(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  layer: Layer,
  colours: Palette,
): void {
  if (layer.prior !== "samples" || !layer.priorPlaces) return;
  const [xs, ys] = layer.priorPlaces;
  pen.fillStyle = colours.quiet;
  pen.globalAlpha = 0.35;
  for (let i = 0; i < xs.length; i++) {
    pen.fillRect(camera.px(xs[i]!) - 1.5, camera.py(ys[i]!) - 0.5, 3, 1);
    pen.fillRect(camera.px(xs[i]!) - 0.5, camera.py(ys[i]!) - 1.5, 1, 3);
  }
  pen.globalAlpha = 1;
}

/** One and two standard deviations of N(0, I): in any orthonormal plane the same circles. */
function paintPrior(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  layer: Layer,
  colours: Palette,
): void {
  const outline = (radius: number) => {
    if (layer.prior === "circles") {
      pen.beginPath();
      pen.arc(camera.px(0), camera.py(0), radius * camera.scale, 0, 2 * Math.PI);
      pen.stroke();
    } else if (layer.prior === "lines") {
      for (const side of [-radius, radius]) {
        stroke(pen, camera.px(side), 0, camera.px(side), camera.height);
      }
    }
  };
  for (const radius of [1, 2]) {
    pen.strokeStyle = colours.paper;
    pen.lineWidth = 3.5;
    pen.globalAlpha = 0.6;
    outline(radius);
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 1.5;
    pen.globalAlpha = 0.9;
    pen.setLineDash([6, 5]);
    outline(radius);
    pen.setLineDash([]);
  }
  pen.globalAlpha = 1;
  if (layer.prior === "circles") labelCircles(pen, camera, layer, colours);
}

function labelCircles(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  layer: Layer,
  colours: Palette,
): void {
  pen.font = `600 ${layer.large ? 16 : 12}px system-ui, sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillStyle = colours.ink;
  for (const radius of [1, 2]) {
    if (radius * camera.scale < 24) continue; // the labels would cover one another
    const place = [camera.px(0), camera.py(0) - radius * camera.scale] as const;
    label(pen, `${radius}σ`, ...place, colours);
  }
}

/** The size of thumbnails at the current zoom, in pixels of their longer side; 0: none. */
export function thumbnailSize(camera: Camera, layer: Layer): number {
  if (camera.view.k < THUMBNAILS || layer.pictures.data.form === "table") return 0;
  const most = layer.large ? 72 : 56;
  return Math.min(most, 20 + 6 * Math.log2(camera.view.k));
}

/** The images that are shown as thumbnails: as many as do not cover one another. */
function thumbnails(camera: Camera, layer: Layer): Set<number> {
  const shown = new Set<number>();
  const size = thumbnailSize(camera, layer) * 1.04;
  if (!size) return shown;
  const taken = new Map<number, [number, number]>();
  const columns = Math.ceil(camera.width / size) + 3;
  for (const i of layer.order) {
    const [x, y] = [camera.px(layer.xs[i]!), camera.py(layer.ys[i]!)];
    if (x < -size || y < -size || x > camera.width + size || y > camera.height + size) continue;
    if (layer.marked && !layer.marked.has(i)) continue;
    const [column, row] = [Math.floor(x / size) + 1, Math.floor(y / size) + 1];
    let free = true;
    for (let r = row - 1; r <= row + 1 && free; r++) {
      for (let c = column - 1; c <= column + 1 && free; c++) {
        const other = taken.get(r * columns + c);
        if (other && Math.abs(other[0] - x) < size && Math.abs(other[1] - y) < size) free = false;
      }
    }
    if (!free) continue;
    taken.set(row * columns + column, [x, y]);
    shown.add(i);
  }
  return shown;
}

function paintDots(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  layer: Layer,
  thumbs: Set<number>,
  colours: Palette,
): void {
  const { xs, ys, order, colouring, marked } = layer;
  const n = xs.length;
  const zoom = Math.min(2.2, Math.max(1, camera.view.k ** 0.35));
  const radius = Math.min(4.5, Math.max(1.5, 130 / Math.sqrt(n))) * zoom * (layer.large ? 1.3 : 1);
  const dots = colouring.styles.map((style) =>
    dot(style.colour, style.marker, radius, layer.map ? colours.paper : ""),
  );
  const half = dots[0]!.width / 2 / DENSITY;
  pen.globalAlpha = n > 3000 ? 0.72 : 0.88;
  const alpha = pen.globalAlpha;
  for (const i of order) {
    const [x, y] = [camera.px(xs[i]!), camera.py(ys[i]!)];
    if (x < -9 || y < -9 || x > camera.width + 9 || y > camera.height + 9) continue;
    if (thumbs.has(i)) continue;
    if (marked) pen.globalAlpha = marked.has(i) ? 1 : FAINT;
    const image = dots[colouring.of[i]!]!;
    pen.drawImage(image, x - half, y - half, 2 * half, 2 * half);
    if (marked) pen.globalAlpha = alpha;
  }
  pen.globalAlpha = 1;
}

const DENSITY = 3; // pixels of a dot's image for one CSS pixel

/** The image of a point; on decoded pictures it has a rim. */
function dot(colour: string, marker: string, radius: number, rim: string): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil((2 * radius + 4) * DENSITY);
  const pen = canvas.getContext("2d")!;
  const [c, r] = [canvas.width / 2, radius * DENSITY];
  pen.fillStyle = colour;
  pen.beginPath();
  if (marker === "^") {
    pen.moveTo(c, c - r * 1.15);
    pen.lineTo(c + r * 1.05, c + r * 0.8);
    pen.lineTo(c - r * 1.05, c + r * 0.8);
  } else if (marker === "s") {
    pen.rect(c - r * 0.88, c - r * 0.88, r * 1.76, r * 1.76);
  } else {
    pen.arc(c, c, r, 0, 2 * Math.PI);
  }
  if (rim) {
    pen.strokeStyle = rim;
    pen.lineWidth = 1.6 * DENSITY;
    pen.stroke();
  }
  pen.fill();
  return canvas;
}

function paintThumbnails(
  pen: CanvasRenderingContext2D,
  camera: Camera,
  layer: Layer,
  shown: Set<number>,
): void {
  const size = thumbnailSize(camera, layer);
  pen.imageSmoothingEnabled = size < layer.pictures.height;
  for (const i of shown) {
    const at: [number, number] = [camera.px(layer.xs[i]!), camera.py(layer.ys[i]!)];
    const { colour } = layer.colouring.styles[layer.colouring.of[i]!]!;
    paintTile(pen, layer.pictures, i, at, size, colour);
  }
  pen.imageSmoothingEnabled = true;
}

/** A test image around a pixel, with a border in its colour. */
export function paintTile(
  pen: CanvasRenderingContext2D,
  pictures: Pictures,
  image: number,
  at: [number, number],
  size: number,
  colour: string,
  border = 1.5,
): void {
  const longest = Math.max(pictures.width, pictures.height);
  const [w, h] = [(size * pictures.width) / longest, (size * pictures.height) / longest];
  const [x, y] = [at[0] - w / 2, at[1] - h / 2];
  pen.fillStyle = colour;
  pen.fillRect(x - border, y - border, w + 2 * border, h + 2 * border);
  pen.drawImage(pictures.tile(image), x, y, w, h);
}
