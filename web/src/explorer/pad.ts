// A row of the data that a person draws, drops or types, and its short text form.
import type { Context } from "./context";

const LEVELS = 16;
const MOST = 4096; // elements of a row that an address can hold
const LUMA = [0.299, 0.587, 0.114];

/** A row as text: a hexadecimal digit for each element, runs as `digit~length;` in base 36. */
export function pack(values: Float32Array, [low, high]: [number, number]): string {
  if (values.length > MOST) return "";
  const digits = Array.from(values, (value) => {
    const share = Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
    return Math.round(share * (LEVELS - 1)).toString(LEVELS);
  }).join("");
  return digits.replace(
    /(.)\1{3,}/g,
    (run, digit: string) => `${digit}~${run.length.toString(36)}.`,
  );
}

export function unpack(
  text: string,
  size: number,
  [low, high]: [number, number],
): Float32Array | null {
  if (!/^([0-9a-f](~[0-9a-z]{1,4}\.)?)+$/.test(text)) return null;
  const values: number[] = [];
  for (const [, digit, run] of text.matchAll(/([0-9a-f])(?:~([0-9a-z]+)\.)?/g)) {
    const count = run ? parseInt(run, 36) : 1;
    if (values.length + count > size) return null;
    const value = low + (parseInt(digit!, LEVELS) / (LEVELS - 1)) * (high - low);
    for (let i = 0; i < count; i++) values.push(value);
  }
  return values.length === size ? Float32Array.from(values) : null;
}

/** A row of a table as text: its numbers, nothing for an empty cell. */
export function packRow(values: Float32Array): string {
  if (values.length > MOST) return "";
  return Array.from(values, (value) => (Number.isNaN(value) ? "" : String(value))).join(",");
}

export function unpackRow(text: string, size: number): Float32Array | null {
  const parts = text.split(",");
  const values = parts.map((part) => (part ? Number(part) : NaN));
  const known = parts.every((part, i) => part === "" || Number.isFinite(values[i]));
  return text && values.length === size && known ? Float32Array.from(values) : null;
}

/** What images of the data have at their edges, by channel: the ground to draw on. */
export function ground(context: Context): number[] {
  const pictures = context.pictures[0]!;
  const [channels, height, width] = pictures.layout;
  const [low, high] = context.models[0]!.document.display;
  const sums = new Array<number>(channels).fill(0);
  const count = Math.min(50, context.count);
  for (let n = 0; n < count; n++) {
    const x = pictures.values(n);
    for (let c = 0; c < channels; c++) {
      let edge = 0;
      for (let i = 0; i < width; i++) {
        edge += x[c * height * width + i]! + x[(c + 1) * height * width - 1 - i]!;
      }
      sums[c]! += edge / (2 * width) / count;
    }
  }
  const dark = sums.reduce((a, b) => a + b, 0) / channels < (low + high) / 2;
  return sums.map(() => (dark ? low : high));
}

/** Puts a round dot of a colour into x; its edge is soft. */
export function dab(
  x: Float32Array,
  layout: [number, number, number],
  at: [number, number],
  radius: number,
  colour: number[],
): void {
  const [channels, height, width] = layout;
  const reach = Math.ceil(radius + 1);
  for (let i = Math.floor(at[1]) - reach; i <= at[1] + reach; i++) {
    for (let j = Math.floor(at[0]) - reach; j <= at[0] + reach; j++) {
      if (i < 0 || j < 0 || i >= height || j >= width) continue;
      const distance = Math.hypot(j + 0.5 - at[0], i + 0.5 - at[1]);
      const share = Math.min(1, Math.max(0, radius + 0.5 - distance));
      for (let c = 0; c < channels; c++) {
        const place = (c * height + i) * width + j;
        const moved = x[place]! + share * (colour[c]! - x[place]!);
        // Dabs of a stroke overlap: each takes an element only nearer to the colour.
        const nearer = Math.abs(colour[c]! - moved) < Math.abs(colour[c]! - x[place]!);
        if (nearer) x[place] = moved;
      }
    }
  }
}

/** The row moved so that the mass that stands out from the ground lies in the middle. */
export function centred(
  x: Float32Array,
  [channels, height, width]: [number, number, number],
  base: number[],
): Float32Array {
  let [mass, across, down] = [0, 0, 0];
  const each = (work: (place: number, c: number, i: number, j: number) => void) => {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < height; i++) {
        for (let j = 0; j < width; j++) work((c * height + i) * width + j, c, i, j);
      }
    }
  };
  each((place, c, i, j) => {
    const weight = Math.abs(x[place]! - base[c]!);
    mass += weight;
    across += weight * (j + 0.5);
    down += weight * (i + 0.5);
  });
  if (!mass) return x;
  const [right, below] = [
    Math.round(width / 2 - across / mass),
    Math.round(height / 2 - down / mass),
  ];
  const moved = new Float32Array(x.length);
  each((place, c, i, j) => {
    const [row, column] = [i - below, j - right];
    const there = row >= 0 && column >= 0 && row < height && column < width;
    moved[place] = there ? x[(c * height + row) * width + column]! : base[c]!;
  });
  return moved;
}

/** An image file as a row: reduced to fit, its ground that of the data where both are plain. */
export async function fromFile(
  file: File,
  layout: [number, number, number],
  display: [number, number],
  base: number[],
): Promise<Float32Array> {
  const [channels, height, width] = layout;
  const [low, high] = display;
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext("2d", { willReadFrequently: true })!;
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [w, h] = [bitmap.width * scale, bitmap.height * scale];
  const level = (c: number) =>
    Math.round((255 * (base[Math.min(c, channels - 1)]! - low)) / (high - low));
  pen.fillStyle = `rgb(${level(0)} ${level(1)} ${level(2)})`;
  const inked = scale < 1 ? reduced(bitmap, w, h) : bitmap;
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(inked, (width - w) / 2, (height - h) / 2, w, h);
  const { data } = pen.getImageData(0, 0, width, height);
  const x = new Float32Array(channels * height * width);
  for (let i = 0; i < height * width; i++) {
    const rgb = [data[4 * i]!, data[4 * i + 1]!, data[4 * i + 2]!];
    const grey = rgb.reduce((sum, value, c) => sum + value * LUMA[c]!, 0);
    for (let c = 0; c < channels; c++) {
      x[c * height * width + i] =
        low + ((channels >= 3 ? (rgb[c] ?? 255) : grey) / 255) * (high - low);
    }
  }
  return channels === 1 ? turned(x, layout, display, base[0]!) : x;
}

/** The bitmap halved until it is near its final size: a browser's own reduction skips pixels. */
function reduced(bitmap: ImageBitmap, w: number, h: number): CanvasImageSource {
  let source: ImageBitmap | HTMLCanvasElement = bitmap;
  while (source.width > 2 * w && source.height > 2 * h) {
    const half = document.createElement("canvas");
    [half.width, half.height] = [Math.ceil(source.width / 2), Math.ceil(source.height / 2)];
    half.getContext("2d")!.drawImage(source, 0, 0, half.width, half.height);
    source = half;
  }
  return source;
}

/** A grey image, inverted where its edge is the opposite of the data's ground. */
function turned(
  x: Float32Array,
  [, height, width]: [number, number, number],
  [low, high]: [number, number],
  base: number,
): Float32Array {
  let edge = 0;
  for (let j = 0; j < width; j++) {
    edge += (x[j + Math.floor(height / 2) * width]! * Number(j === 0 || j === width - 1)) / 2;
  }
  const middle = (low + high) / 2;
  return edge > middle === base > middle ? x : x.map((value) => low + high - value);
}
