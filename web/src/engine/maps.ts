// Elementwise steps and reductions, over operands with any strides.
import { FUNCTIONS } from "./functions";
import type { Floats, Step } from "./program";

/** The places of the elements of an operand, in order, over some of its dimensions. */
function places(shape: number[], strides: number[], offset = 0): Int32Array {
  let found = [offset];
  shape.forEach((extent, d) => {
    const step = strides[d]!;
    found = found.flatMap((place) => Array.from({ length: extent }, (_, i) => place + i * step));
  });
  return Int32Array.from(found);
}

/** output[i] = f(inputs[0][i], ...). */
export function elementwise(step: Step, arrays: Floats[]): () => void {
  const f = FUNCTIONS[step.name]!;
  const outer = step.shape.slice(0, -1);
  const n = step.shape.at(-1)!;
  const first = step.inputs[0]!; // stands in where f takes fewer than three
  const operands = [step.output, first, step.inputs[1] ?? first, step.inputs[2] ?? first];
  const starts = operands.map(({ strides, offset }) => places(outer, strides, offset));
  const steps = operands.map(({ strides }) => strides.at(-1)!);
  const found = operands.map(({ array }) => arrays[array]!);
  const [out, a, b, c] = found as [Floats, Floats, Floats, Floats];
  const [so, sa, sb, sc] = steps as [number, number, number, number];
  const [os, as, bs, cs] = starts as [Int32Array, Int32Array, Int32Array, Int32Array];
  return () => {
    for (let i = 0; i < os.length; i++) {
      let o = os[i]!;
      let p = as[i]!;
      let q = bs[i]!;
      let r = cs[i]!;
      for (let j = 0; j < n; j++, o += so, p += sa, q += sb, r += sc)
        out[o] = f(a[p]!, b[q]!, c[r]!);
    }
  };
}

/** Sum, logsumexp or argmax over the last dimensions. */
export function reduction(step: Step, arrays: Floats[]): () => void {
  const { array, offset, strides } = step.inputs[0]!;
  const kept = step.shape.length - step.reduced;
  const starts = places(step.shape.slice(0, kept), strides.slice(0, kept), offset);
  const steps = places(step.shape.slice(kept), strides.slice(kept));
  const x = arrays[array]!;
  const out = arrays[step.output.array]!;
  const reduce = { sum, logsumexp, argmax }[step.name]!;
  return () => {
    for (let i = 0; i < starts.length; i++) out[i] = reduce(x, starts[i]!, steps);
  };
}

function sum(x: Floats, start: number, steps: Int32Array): number {
  let total = 0;
  for (let i = 0; i < steps.length; i++) total += x[start + steps[i]!]!;
  return total;
}

function logsumexp(x: Floats, start: number, steps: Int32Array): number {
  let top = -Infinity;
  for (let i = 0; i < steps.length; i++) top = Math.max(top, x[start + steps[i]!]!);
  let total = 0;
  for (let i = 0; i < steps.length; i++) total += Math.exp(x[start + steps[i]!]! - top);
  return top + Math.log(total);
}

/** The place of the largest, the first of equal ones. */
function argmax(x: Floats, start: number, steps: Int32Array): number {
  let best = 0;
  for (let i = 1; i < steps.length; i++)
    if (x[start + steps[i]!]! > x[start + steps[best]!]!) best = i;
  return best;
}
