// From places of the latent plane to pixels of the screen, one scale for both axes.
import type { Point, RunState } from "./state";

export interface View {
  x: number; // the place in the middle of the screen
  y: number;
  k: number; // the zoom: 1 shows everything
}

export const ZOOM: [number, number] = [0.3, 400];

export class Camera {
  width = 1;
  height = 1;
  private home: View = { x: 0, y: 0, k: 1 };
  private unit = 1; // pixels for 1 at zoom 1
  view: View = this.home;

  /** Fits the places and, around the origin, `radius` into the screen. */
  fit(xs: Float32Array, ys: Float32Array, radius: number): void {
    const [left, right] = extent(xs, radius);
    const [low, high] = extent(ys, radius);
    this.home = { x: (left + right) / 2, y: (low + high) / 2, k: 1 };
    const across = Math.max(1e-6, right - left);
    const up = Math.max(1e-6, high - low);
    this.unit = 0.92 * Math.min(this.width / across, this.height / up);
  }

  look(view: RunState["view"]): void {
    this.view = view ?? this.home;
  }

  get scale(): number {
    return this.unit * this.view.k;
  }

  at(place: Point): Point {
    return [this.px(place[0]), this.py(place[1])];
  }

  px(x: number): number {
    return this.width / 2 + (x - this.view.x) * this.scale;
  }

  py(y: number): number {
    return this.height / 2 - (y - this.view.y) * this.scale;
  }

  place([px, py]: Point): Point {
    return [
      this.view.x + (px - this.width / 2) / this.scale,
      this.view.y - (py - this.height / 2) / this.scale,
    ];
  }

  /** The view after zooming by a factor around a pixel. */
  zoomed(factor: number, around: Point): View {
    const k = Math.min(ZOOM[1], Math.max(ZOOM[0], this.view.k * factor));
    const [x, y] = this.place(around);
    const rest = this.view.k / k;
    return { x: x + (this.view.x - x) * rest, y: y + (this.view.y - y) * rest, k };
  }

  /** The view after moving by pixels. */
  moved(dx: number, dy: number): View {
    const { x, y, k } = this.view;
    return { x: x - dx / this.scale, y: y + dy / this.scale, k };
  }
}

function extent(values: Float32Array, radius: number): [number, number] {
  const sorted = Float32Array.from(values).sort();
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  const [low, high] = [at(0.002), at(0.998)];
  const room = 0.06 * (high - low) || 1;
  return [Math.min(-radius, low - room), Math.max(radius, high + room)];
}
