// Convolutions of one image.
import type { Step } from "./program";

/**
 * A convolution; its result may go to every other row and column of an array, as a phase of a
 * transposed convolution does. The image is first copied to where it has a margin of zeros, or
 * loses one, and 64-bit numbers, so that the inner loop neither checks bounds nor converts; there,
 * four columns of the result and two channels share what is read.
 */
export function convolution(step: Step, arrays: Float32Array[]): () => void {
  const [outputs = 0, height = 0, width = 0, channels = 0, h = 0, w = 0] = step.shape;
  const [high = 0, wide = 0, down = 0, right = 0, above = 0, left = 0] = step.shape.slice(6);
  const [from, weights, biases] = step.inputs;
  const x = arrays[from!.array]!.subarray(from!.offset);
  const taps = channels * high * wide;
  // Room for columns and a channel that nobody needs: blocks are always whole.
  const columns = Math.ceil(width / 4) * 4;
  const weight = new Float64Array((outputs + 1) * taps);
  weight.set(arrays[weights!.array]!);
  const bias = new Float64Array(outputs + 1);
  bias.set(arrays[biases!.array]!);
  const stride = Math.max((columns - 1) * right + wide, left + w);
  const rows = Math.max((height - 1) * down + high, above + h);
  const padded = new Float64Array(channels * rows * stride);
  const places = new Int32Array(taps); // of the taps of a kernel, from that of the first
  let tap = 0;
  for (let c = 0; c < channels; c++)
    for (let i = 0; i < high; i++)
      for (let j = 0; j < wide; j++) places[tap++] = (c * rows + i) * stride + j;
  const out = arrays[step.output.array]!;
  const { offset, strides } = step.output;
  const [channelStep, rowStep, columnStep] = strides.slice(-3) as [number, number, number];

  return () => {
    for (let c = 0; c < channels; c++)
      for (let i = Math.max(0, -above); i < h; i++) {
        const start = (c * rows + above + i) * stride + left;
        const p = (c * h + i) * w;
        for (let j = Math.max(0, -left); j < w; j++) padded[start + j] = x[p + j]!;
      }
    for (let o = 0; o < outputs; o += 2)
      for (let i = 0; i < height; i++)
        for (let j = 0; j < width; j += 4) {
          block(padded, i * down * stride + j * right, right, weight, o * taps, taps, places);
          const count = Math.min(4, width - j);
          for (let k = 0; k < 2 && o + k < outputs; k++) {
            let place = offset + (o + k) * channelStep + i * rowStep + j * columnStep;
            for (let n = 0; n < count; n++, place += columnStep)
              out[place] = sums[4 * k + n]! + bias[o + k]!;
          }
        }
  };
}

const sums = new Float64Array(8);

/** Sums over the taps for two channels and four neighbouring columns. */
function block(
  padded: Float64Array,
  start: number,
  right: number,
  weight: Float64Array,
  first: number,
  taps: number,
  places: Int32Array,
): void {
  let a0 = 0,
    a1 = 0,
    a2 = 0,
    a3 = 0,
    b0 = 0,
    b1 = 0,
    b2 = 0,
    b3 = 0;
  for (let t = 0; t < taps; t++) {
    const p = start + places[t]!;
    const a = weight[first + t]!;
    const b = weight[first + taps + t]!;
    const x0 = padded[p]!;
    const x1 = padded[p + right]!;
    const x2 = padded[p + 2 * right]!;
    const x3 = padded[p + 3 * right]!;
    a0 += a * x0;
    a1 += a * x1;
    a2 += a * x2;
    a3 += a * x3;
    b0 += b * x0;
    b1 += b * x1;
    b2 += b * x2;
    b3 += b * x3;
  }
  sums[0] = a0;
  sums[1] = a1;
  sums[2] = a2;
  sums[3] = a3;
  sums[4] = b0;
  sums[5] = b1;
  sums[6] = b2;
  sums[7] = b3;
}
