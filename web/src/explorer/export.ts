// Pictures as files: a row of them as a PNG, a sequence as a GIF.
import { GIFEncoder, applyPalette, quantize } from "gifenc";

const SIDE = 112; // pixels of the longer side of a picture, at least
const DELAY = 60; // ms

function enlarged(width: number, height: number): number {
  return Math.max(1, Math.round(SIDE / Math.max(width, height)));
}

export async function sheet(pictures: HTMLCanvasElement[], paper: string): Promise<Blob> {
  const { width, height } = pictures[0]!;
  const scale = enlarged(width, height);
  const gap = 4;
  const canvas = document.createElement("canvas");
  canvas.width = pictures.length * (width * scale + gap) - gap;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d")!;
  pen.fillStyle = paper;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingEnabled = false;
  pictures.forEach((picture, i) => {
    pen.drawImage(picture, i * (width * scale + gap), 0, width * scale, height * scale);
  });
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("PNG"))), "image/png");
  });
}

/** There and back again. */
export function animation(pictures: HTMLCanvasElement[]): Uint8Array {
  const { width, height } = pictures[0]!;
  const scale = enlarged(width, height);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const pen = canvas.getContext("2d", { willReadFrequently: true })!;
  pen.imageSmoothingEnabled = false;
  const gif = GIFEncoder();
  for (const picture of [...pictures, ...pictures.slice(1, -1).reverse()]) {
    pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
    const palette = quantize(data, 256);
    gif.writeFrame(applyPalette(data, palette), canvas.width, canvas.height, {
      palette,
      delay: DELAY,
    });
  }
  gif.finish();
  return gif.bytes();
}
