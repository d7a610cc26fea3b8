// Pointers, wheel and keys on the plane.
import { NONE } from "./context";
import { flush, once } from "./frames";
import type { Plane } from "./plane";
import type { Mode, Point } from "./state";

const CLICK = 4; // pixels that a pointer may move in a click
const NEAR = 8; // pixels from a point within which a click selects it
const PAUSE = 250; // ms without a turn of the wheel after which zooming has ended

export class Gestures {
  private readonly pointers = new Map<number, Point>();
  private box = new DOMRect(); // of the plane; during a gesture it stays, and is not asked for
  private mode: Mode = "move";
  private start: Point = [0, 0];
  private travelled = 0;
  private timer = 0;

  constructor(private readonly plane: Plane) {
    const { element } = plane;
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => {
      once(`${plane.run} ${event.pointerId}`, () => this.move(event));
    });
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", (event) => this.up(event));
    element.addEventListener("pointerleave", (event) => {
      once(`${plane.run} ${event.pointerId}`, () => plane.point(null));
    });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("blur", () => plane.point(null));
  }

  private pixel(event: MouseEvent): Point {
    if (!this.pointers.size) this.box = this.plane.element.getBoundingClientRect();
    return [event.clientX - this.box.left, event.clientY - this.box.top];
  }

  private down(event: PointerEvent): void {
    const { plane } = this;
    flush();
    const pixel = this.pixel(event);
    plane.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, pixel);
    if (this.pointers.size > 1) {
      plane.moving = null;
      return;
    }
    const { mode } = plane.context.state;
    this.mode = event.button > 0 ? "pan" : event.shiftKey ? "lasso" : mode;
    if (this.mode === "move" && !plane.decodes) this.mode = "pan";
    this.start = pixel;
    this.travelled = 0;
    plane.point(null);
    if (this.mode === "lasso") plane.moving = [plane.camera.place(pixel)];
    else if (this.mode === "move") this.drag(pixel);
    else if (this.mode === "path") this.mark(pixel);
  }

  private move(event: PointerEvent): void {
    const { plane, pointers } = this;
    const pixel = this.pixel(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") plane.point(pixel);
      return;
    }
    if (pointers.size > 1) this.pinch(event.pointerId, pixel);
    pointers.set(event.pointerId, pixel);
    if (pointers.size > 1) return;
    const [dx, dy] = [pixel[0] - before[0], pixel[1] - before[1]];
    this.travelled = Math.max(
      this.travelled,
      Math.hypot(pixel[0] - this.start[0], pixel[1] - this.start[1]),
    );
    if (this.mode === "pan") {
      plane.context.store.setRun(plane.run, { view: plane.camera.moved(dx, dy) });
    } else if (this.mode === "lasso") {
      plane.moving?.push(plane.camera.place(pixel));
      plane.paintOver();
    } else if (this.travelled > CLICK) {
      if (this.mode === "move") this.drag(pixel);
      else this.markEnd(pixel);
    }
  }

  private up(event: PointerEvent): void {
    const { plane } = this;
    flush();
    const last = this.pointers.size === 1;
    if (!this.pointers.delete(event.pointerId) || !last) return;
    const pixel = this.pixel(event);
    const clicked = this.travelled <= CLICK;
    if (this.mode === "lasso") {
      this.endLasso(clicked);
    } else if (clicked && (this.mode === "move" || (this.mode === "pan" && !plane.decodes))) {
      const image = plane.nearest(pixel, NEAR);
      if (image !== NONE) plane.context.select(image, plane.run);
    }
    plane.context.store.commit();
  }

  private drag(pixel: Point): void {
    const { plane } = this;
    const z = plane.model.lift(plane.camera.place(pixel), plane.state.z, plane.state.axes);
    plane.context.store.setRun(plane.run, { z });
  }

  /** The first click of an interpolation is A, the second B; on a point it is that image's code. */
  private mark(pixel: Point): void {
    const { plane } = this;
    const { a, b } = plane.state;
    const z = this.codeAt(pixel);
    const patch = a.length && !b.length ? { b: z } : { a: z, b: [] };
    plane.context.store.setRun(plane.run, patch, { tab: "path" });
  }

  private markEnd(pixel: Point): void {
    this.plane.context.store.setRun(this.plane.run, { b: this.codeAt(pixel) });
  }

  private codeAt(pixel: Point): number[] {
    const { plane } = this;
    const image = plane.nearest(pixel, NEAR);
    if (image !== NONE) return plane.model.code(image);
    return plane.model.lift(plane.camera.place(pixel), plane.state.z, plane.state.axes);
  }

  private endLasso(clicked: boolean): void {
    const { plane } = this;
    const region = clicked ? [] : thinned(plane.moving ?? [], 2 / plane.camera.scale);
    plane.moving = null;
    const runs = plane.context.state.runs.map((run, r) => ({
      ...run,
      lasso: r === plane.run && region.length > 2 ? region : [],
    }));
    plane.context.store.set({ runs, active: plane.run, tab: "region" });
  }

  private pinch(id: number, pixel: Point): void {
    const { camera, context, run } = this.plane;
    const before = this.pointers.get(id)!;
    const other = [...this.pointers].find(([key]) => key !== id)![1];
    const [near, far] = [before, pixel].map((p) => Math.hypot(p[0] - other[0], p[1] - other[1]));
    const view = camera.zoomed((far! || 1) / (near! || 1), other);
    context.store.setRun(run, { view });
    const middle = [(pixel[0] - before[0]) / 2, (pixel[1] - before[1]) / 2] as const;
    context.store.setRun(run, { view: camera.moved(...middle) });
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const turn = event.deltaY * (event.deltaMode ? 20 : 1) * (event.ctrlKey ? 5 : 1);
    this.zoom(Math.exp(-Math.max(-240, Math.min(240, turn)) * 0.0022), this.pixel(event));
    const pixel = this.pixel(event);
    once(this.plane, () => this.plane.point(pixel));
  }

  private zoom(factor: number, around: Point): void {
    const { camera, context, run } = this.plane;
    context.store.setRun(run, { view: camera.zoomed(factor, around) });
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => context.store.commit(), PAUSE);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { plane } = this;
    const { store } = plane.context;
    const step = (event.shiftKey ? 24 : 6) / plane.camera.scale;
    const moves: Record<string, Point> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, step],
      ArrowDown: [0, -step],
    };
    const middle: Point = [plane.camera.width / 2, plane.camera.height / 2];
    const modes: Record<string, Mode> = { m: "move", p: "pan", l: "lasso", i: "path" };
    const by = moves[event.key];
    if (by) this.nudge(by);
    else if (event.key === "+" || event.key === "=") this.zoom(1.4, middle);
    else if (event.key === "-") this.zoom(1 / 1.4, middle);
    else if (event.key === "0") {
      store.setRun(plane.run, { view: null });
      store.commit();
    } else if (event.key === "Enter") {
      const at = plane.camera.at(plane.model.project(plane.state.z, plane.state.axes));
      plane.context.select(plane.nearest(at), plane.run);
    } else if (event.key === "Escape") {
      const runs = plane.context.state.runs.map((run) => ({ ...run, lasso: [], a: [], b: [] }));
      store.commit({ image: NONE, runs });
    } else if (modes[event.key]) store.commit({ mode: modes[event.key]! });
    else return;
    event.preventDefault();
  }

  /** Moves the point, or where nothing is decoded the view. */
  private nudge(by: Point): void {
    const { plane } = this;
    const { store } = plane.context;
    if (plane.decodes) {
      const { z, axes } = plane.state;
      const [x, y] = plane.model.project(z, axes);
      store.setRun(plane.run, { z: plane.model.lift([x + by[0], y + by[1]], z, axes) });
    } else {
      const { scale } = plane.camera;
      store.setRun(plane.run, { view: plane.camera.moved(-by[0] * scale, by[1] * scale) });
    }
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => store.commit(), PAUSE);
  }
}

/** A line with points at least `distance` apart, at most 200 of them. */
function thinned(line: Point[], distance: number): Point[] {
  const kept: Point[] = [];
  for (const point of line) {
    const last = kept.at(-1);
    if (!last || Math.hypot(point[0] - last[0], point[1] - last[1]) >= distance) kept.push(point);
  }
  const every = Math.max(1, Math.ceil(kept.length / 200));
  return kept.filter((_, i) => i % every === 0);
}
