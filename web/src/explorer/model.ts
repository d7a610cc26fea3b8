// A run in the page: its codes, its plane, and its encoder and decoder where they can run here.
import type { Payload } from "../shared/payload";
import { Program } from "../engine/program";
import type { ExplorerDocument, ProgramName, RunDocument, StoredDocument } from "./document";
import type { Point } from "./state";

const NEIGHBOUR = 5; // its distance says how thin the aggregate posterior is; as in gathered.py

/** How thin the aggregate posterior is at a code. */
export interface Thinness {
  distance: number;
  beyond: 0 | 95 | 99; // the quantile of the codes' own distances that it exceeds, in per cent
  fade: number; // from 0, as among the codes, to 1
}

export interface Posterior {
  mean: Float32Array;
  std: Float32Array | null;
}

export class Model {
  readonly latent: number;
  readonly count: number;
  readonly mean: Float32Array; // (L, N)
  readonly std: Float32Array | null; // (L, N)
  readonly numbers: Record<string, Float32Array>;
  readonly samples: Float32Array | null; // (L, S)
  readonly order: number[]; // the dimensions, the most informative first
  private readonly cloud: Float32Array; // (L, M)
  private readonly pca: Float32Array | null;
  private readonly programs: Partial<Record<ProgramName, Program>> = {};
  label = 0; // the class that a conditional model decodes, a place in `classes` of the data

  constructor(
    readonly document: RunDocument,
    payload: Payload<ExplorerDocument>,
  ) {
    this.latent = document.latent;
    this.mean = payload.floats(document.mean);
    this.count = this.mean.length / this.latent;
    this.std = document.std && payload.floats(document.std);
    this.cloud = payload.floats(document.cloud);
    this.samples = document.samples && payload.floats(document.samples);
    this.pca = document.pca && payload.floats(document.pca.axes);
    this.numbers = Object.fromEntries(
      Object.entries(document.numbers).map(([name, ref]) => [name, payload.floats(ref)]),
    );
    for (const [name, spec] of Object.entries(document.programs)) {
      this.programs[name as ProgramName] = new Program(spec, payload);
    }
    const { kl, spread } = document.dimensions;
    const weight = kl ?? spread;
    this.order = [...weight.keys()].sort((a, b) => weight[b]! - weight[a]!);
  }

  /** Whether the page can decode any code; else it has `stored` pictures. */
  get decodes(): boolean {
    return this.can("decode");
  }

  get stored(): StoredDocument | null {
    return this.document.stored;
  }

  /** The place of a test image among the stored reconstructions; -1: there is none. */
  reconstruction(image: number): number {
    return this.stored?.which.indexOf(image) ?? -1;
  }

  can(name: ProgramName): boolean {
    return this.programs[name] !== undefined;
  }

  get discrete(): boolean {
    return this.document.space === "codes" || this.document.space === "classes";
  }

  /** The posterior mean of a test image. */
  code(image: number): number[] {
    return Array.from({ length: this.latent }, (_, j) => this.mean[j * this.count + image]!);
  }

  posterior(image: number): Posterior {
    const { std, count } = this;
    return {
      mean: Float32Array.from(this.code(image)),
      std: std && Float32Array.from({ length: this.latent }, (_, j) => std[j * count + image]!),
    };
  }

  /** The mean code of some test images. */
  centre(images: ArrayLike<number>): number[] {
    const sum = new Array<number>(this.latent).fill(0);
    for (let i = 0; i < images.length; i++) {
      for (let j = 0; j < this.latent; j++) sum[j]! += this.mean[j * this.count + images[i]!]!;
    }
    return sum.map((value) => value / (images.length || 1));
  }

  // --- the plane

  project(z: ArrayLike<number>, axes: string): Point {
    if (this.latent === 1) return [z[0]!, 0];
    if (axes === "pca") {
      const point: Point = [0, 0];
      for (let j = 0; j < this.latent; j++) {
        point[0] += this.pca![j]! * z[j]!;
        point[1] += this.pca![this.latent + j]! * z[j]!;
      }
      return point;
    }
    const [a, b] = dimensions(axes);
    return [z[a]!, z[b]!];
  }

  /** The code at a place of the plane; the directions that the plane does not show stay as in z. */
  lift(place: Point, z: ArrayLike<number>, axes: string): number[] {
    const code = Array.from(z);
    if (this.latent === 1) return [place[0]];
    if (axes === "pca") {
      const [x, y] = this.project(z, axes);
      const [dx, dy] = [place[0] - x, place[1] - y];
      return code.map((v, j) => v + dx * this.pca![j]! + dy * this.pca![this.latent + j]!);
    }
    const [a, b] = dimensions(axes);
    code[a] = place[0];
    code[b] = place[1];
    return code;
  }

  /** The places of all codes in the plane, (2, N). */
  places(axes: string): [Float32Array, Float32Array] {
    const n = this.count;
    if (this.latent === 1) {
      const spread = this.document.dimensions.spread[0] || 1;
      return [this.mean, Float32Array.from({ length: n }, (_, i) => 1.5 * jitter(i) * spread)];
    }
    if (axes !== "pca") {
      const [a, b] = dimensions(axes);
      return [this.mean.subarray(a * n, (a + 1) * n), this.mean.subarray(b * n, (b + 1) * n)];
    }
    const [x, y] = [new Float32Array(n), new Float32Array(n)];
    for (let j = 0; j < this.latent; j++) {
      const [p, q] = [this.pca![j]!, this.pca![this.latent + j]!];
      for (let i = 0, k = j * n; i < n; i++, k++) {
        x[i]! += p * this.mean[k]!;
        y[i]! += q * this.mean[k]!;
      }
    }
    return [x, y];
  }

  /** The posterior's covariance in the plane: variances and covariance. */
  spread(std: Float32Array, axes: string): [number, number, number] {
    if (this.latent === 1) return [std[0]! ** 2, 0, 0];
    if (axes !== "pca") {
      const [a, b] = dimensions(axes);
      return [std[a]! ** 2, std[b]! ** 2, 0];
    }
    const found: [number, number, number] = [0, 0, 0];
    for (let j = 0; j < this.latent; j++) {
      const [p, q, v] = [this.pca![j]!, this.pca![this.latent + j]!, std[j]! ** 2];
      found[0] += p * p * v;
      found[1] += q * q * v;
      found[2] += p * q * v;
    }
    return found;
  }

  // --- the networks

  /** E[x|z], or a sample of p(x|z). The next call overwrites it. */
  decode(z: ArrayLike<number>, noisy = false): Float32Array {
    const [mean, variance] = this.run("decode", this.valid(z));
    const { noise } = this.document;
    if (!noisy || !noise) return mean!;
    if (noise === "bernoulli") return mean!.map((p) => Number(Math.random() < p));
    return mean!.map((m, i) => m + Math.sqrt(variance![i]!) * gaussian());
  }

  encode(x: Float32Array): Posterior {
    const [mean, std] = this.run("encode", x);
    return { mean: mean!.slice(), std: this.document.point || !std ? null : std.slice() };
  }

  /** -log p(x|z), in nats. */
  distortion(x: Float32Array, z: ArrayLike<number>): number {
    return this.run("distortion", x, this.valid(z))[0]![0]!;
  }

  /** KL(q(z|x) || p(z)), in nats. */
  rate(x: Float32Array): number {
    return this.run("rates", x)[0]!.reduce((sum, value) => sum + value, 0);
  }

  private run(name: ProgramName, ...inputs: Float32Array[]): Float32Array[] {
    const { given } = this.document;
    if (given) inputs.push(Float32Array.of(given[this.label]!));
    return this.programs[name]!.run(...inputs);
  }

  /** The code as the decoder takes it: on the sphere where codes live there. */
  valid(z: ArrayLike<number>): Float32Array {
    const code = Float32Array.from(z);
    if (this.document.space !== "sphere") return code;
    const length = Math.hypot(...code) || 1;
    return code.map((value) => value / length);
  }

  // --- between codes, and where there are none

  /** Codes from a to b, straight or along a great circle around the origin. */
  between(a: number[], b: number[], steps: number, curved: boolean): number[][] {
    const [la, lb] = [Math.hypot(...a), Math.hypot(...b)];
    const cosine = a.reduce((sum, value, j) => sum + value * b[j]!, 0) / (la * lb || 1);
    const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
    const bend = (curved || this.document.space === "sphere") && Math.sin(angle) > 1e-4;
    return Array.from({ length: steps }, (_, i) => {
      const t = i / (steps - 1);
      if (!bend) return a.map((value, j) => value + t * (b[j]! - value));
      const [p, q] = [Math.sin((1 - t) * angle), Math.sin(t * angle)];
      const length = (1 - t) * la + t * lb;
      return a.map((v, j) => (length * ((p * v) / la + (q * b[j]!) / lb)) / Math.sin(angle));
    });
  }

  thinness(z: ArrayLike<number>): Thinness {
    const nearest = new Float64Array(NEIGHBOUR).fill(Infinity);
    const size = this.cloud.length / this.latent;
    const code = this.valid(z);
    for (let i = 0; i < size; i++) {
      let square = 0;
      const most = nearest[NEIGHBOUR - 1]!;
      for (let j = 0; j < this.latent && square < most; j++) {
        square += (code[j]! - this.cloud[j * size + i]!) ** 2;
      }
      if (square >= most) continue;
      let place = NEIGHBOUR - 1;
      for (; place && nearest[place - 1]! > square; place--) nearest[place] = nearest[place - 1]!;
      nearest[place] = square;
    }
    const [common, rare] = this.document.quantiles;
    const distance = Math.sqrt(nearest[Math.min(NEIGHBOUR, size) - 1]!);
    const fade = Math.min(1, Math.max(0, (distance - common) / (1.5 * rare - common || 1)));
    return { distance, beyond: distance > rare ? 99 : distance > common ? 95 : 0, fade };
  }
}

export function dimensions(axes: string): [number, number] {
  const [a, b] = axes.split(",").map(Number);
  return [a ?? 0, b ?? 0];
}

/** A number in [-1, 1] that belongs to an index, so that codes on a line can be told apart. */
function jitter(i: number): number {
  const mixed = Math.imul(i ^ (i >>> 15), 0x2c1b3c6d) ^ Math.imul(i + 1, 0x9e3779b1);
  return ((mixed >>> 0) / 2 ** 31 - 1) * 0.5;
}

function gaussian(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
