// The posterior of the selected image, test image or drawn.
import { type Context, DRAWN, NONE } from "./context";
import type { Posterior } from "./model";
import type { Point } from "./state";

/** The posterior of the selected image in a run; null without one. */
export function posterior(context: Context, run: number): Posterior | null {
  const { image } = context.state;
  const model = context.models[run]!;
  if (image === NONE) return null;
  if (image !== DRAWN) return model.posterior(image);
  if (!context.drawn || !model.can("encode")) return null;
  return cached(context, run, context.drawn);
}

/** Rate and distortion of the selected image at its own code, nats: measured here, else stored. */
export function terms(context: Context, run: number): { rate?: number; distortion?: number } {
  const model = context.models[run]!;
  const subject = context.subject(run);
  const found = posterior(context, run);
  if (!subject || !found) return {};
  const { values, image } = subject;
  const rate =
    values && model.can("rates") && !model.document.point
      ? model.rate(values)
      : model.numbers.rate?.[image];
  const distortion =
    values && model.can("distortion")
      ? model.distortion(values, found.mean)
      : model.numbers.distortion?.[image];
  return { ...(rate !== undefined && { rate }), ...(distortion !== undefined && { distortion }) };
}

const kept = new WeakMap<Float32Array, Map<number, Posterior>>();

function cached(context: Context, run: number, x: Float32Array): Posterior {
  const of = kept.get(x) ?? new Map<number, Posterior>();
  kept.set(x, of);
  let found = of.get(run);
  if (!found) {
    found = context.models[run]!.encode(x);
    of.set(run, found);
  }
  return found;
}

export interface Ellipse {
  centre: Point;
  covariance: [number, number, number];
}

export function ellipse(context: Context, run: number): Ellipse | null {
  const found = posterior(context, run);
  const model = context.models[run]!;
  if (!found) return null;
  const { axes } = context.state.runs[run]!;
  const std = found.std ?? new Float32Array(model.latent);
  return { centre: model.project(found.mean, axes), covariance: model.spread(std, axes) };
}
