// Runs a program that vaelab.export traced from a trained model: a list of steps on flat arrays.
// All arrays are allocated once, so running makes no garbage.
import type { Payload, Ref } from "../shared/payload";
import { convolution } from "./conv";
import { linear } from "./linear";
import { elementwise, reduction } from "./maps";

export type Floats = Float32Array | Float64Array;

/** Elements of an array: the one at index i is at offset + the sum of i[d] * strides[d]. */
export interface Operand {
  array: number;
  offset: number;
  strides: number[];
}

export interface Step {
  kind: "map" | "reduce" | "linear" | "conv";
  name: string;
  shape: number[];
  inputs: Operand[];
  output: Operand;
  reduced: number;
}

export interface Slot {
  array: number;
  shape: number[];
}

export interface ProgramSpec {
  arrays: ({ size: number; double: boolean } | { constant: Ref })[];
  inputs: Slot[];
  outputs: Slot[];
  steps: Step[];
}

export class Program {
  /** The shapes of inputs and outputs; the first dimension is a batch of one row. */
  readonly inputs: readonly number[][];
  readonly outputs: readonly number[][];
  private readonly given: Float32Array[];
  private readonly results: Float32Array[];
  private readonly steps: (() => void)[];

  constructor(spec: ProgramSpec, payload: Payload<unknown>) {
    const arrays = spec.arrays.map((array): Floats => {
      if ("constant" in array) return payload.floats(array.constant);
      return array.double ? new Float64Array(array.size) : new Float32Array(array.size);
    });
    const whole = (slot: Slot): Float32Array => arrays[slot.array] as Float32Array;
    this.inputs = spec.inputs.map((slot) => slot.shape);
    this.outputs = spec.outputs.map((slot) => slot.shape);
    this.given = spec.inputs.map(whole);
    this.results = spec.outputs.map(whole);
    this.steps = spec.steps.map((step) => prepared(step, arrays));
  }

  /** The outputs for some inputs. They are overwritten by the next call: copy what you keep. */
  run(...inputs: Float32Array[]): Float32Array[] {
    this.given.forEach((array, i) => array.set(inputs[i]!));
    for (const step of this.steps) step();
    return this.results;
  }
}

function prepared(step: Step, arrays: Floats[]): () => void {
  switch (step.kind) {
    case "map":
      return elementwise(step, arrays);
    case "reduce":
      return reduction(step, arrays);
    case "linear":
      return linear(step, arrays as Float32Array[]);
    case "conv":
      return convolution(step, arrays as Float32Array[]);
  }
}
