// Products with a matrix of weights.
import type { Step } from "./program";

/** x W^T + b for rows x. Four outputs share each element of x that is read. */
export function linear(step: Step, arrays: Float32Array[]): () => void {
  const [rows, outputs, inputs] = step.shape as [number, number, number];
  const [from, weights, biases] = step.inputs;
  const x = arrays[from!.array]!.subarray(from!.offset);
  const weight = arrays[weights!.array]!;
  const bias = arrays[biases!.array]!;
  const out = arrays[step.output.array]!.subarray(step.output.offset);
  return () => {
    for (let row = 0; row < rows; row++) product(x, weight, bias, out, row, outputs, inputs);
  };
}

function product(
  x: Float32Array,
  weight: Float32Array,
  bias: Float32Array,
  out: Float32Array,
  row: number,
  outputs: number,
  inputs: number,
): void {
  const start = row * inputs;
  let o = 0;
  for (; o + 4 <= outputs; o += 4) {
    let a = bias[o]!;
    let b = bias[o + 1]!;
    let c = bias[o + 2]!;
    let d = bias[o + 3]!;
    let p = o * inputs;
    let q = p + inputs;
    let r = q + inputs;
    let s = r + inputs;
    for (let i = start, end = start + inputs; i < end; i++) {
      const value = x[i]!;
      a += weight[p++]! * value;
      b += weight[q++]! * value;
      c += weight[r++]! * value;
      d += weight[s++]! * value;
    }
    const place = row * outputs + o;
    out[place] = a;
    out[place + 1] = b;
    out[place + 2] = c;
    out[place + 3] = d;
  }
  for (; o < outputs; o++) {
    let a = bias[o]!;
    for (let i = 0, p = o * inputs; i < inputs; i++) a += weight[p + i]! * x[start + i]!;
    out[row * outputs + o] = a;
  }
}
