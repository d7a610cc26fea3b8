// The latent plane: two canvases, one of the points and one of everything that moves.
import { type Quadtree, quadtree } from "d3-quadtree";
import { Camera } from "./camera";
import type { Colouring } from "./colours";
import { type Context, DRAWN, NONE } from "./context";
import { el } from "./dom";
import { once } from "./frames";
import { Ghost } from "./ghost";
import { Gestures } from "./gestures";
import { DecodedMap } from "./map";
import { paintOverlay } from "./overlay";
import { type Layer, paintPoints } from "./points";
import type { Point, State } from "./state";

export class Plane {
  readonly element: HTMLElement;
  readonly camera = new Camera();
  xs = new Float32Array();
  ys = new Float32Array();
  colouring: Colouring;
  moving: Point[] | null = null; // the lasso while it is drawn
  private readonly under = el("canvas", { "aria-hidden": "true" });
  private readonly over = el("canvas", { "aria-hidden": "true" });
  private readonly order: Uint32Array;
  private readonly ghost: Ghost;
  private readonly map: DecodedMap;
  private tree: Quadtree<number> = quadtree<number>();
  private shown = ""; // what the lower canvas depends on, as it was painted
  private axes = "";
  private marked: Set<number> | null = null;

  constructor(
    readonly context: Context,
    readonly run: number,
  ) {
    const { words } = context;
    this.ghost = new Ghost(context, run);
    this.map = new DecodedMap(context, run, () => this.paintSoon());
    this.element = el(
      "div",
      {
        class: "plane",
        tabindex: 0,
        role: "application",
        "aria-label": words.t("plane_label"),
        "aria-describedby": `where-${run}`,
      },
      this.under,
      this.over,
      this.ghost.element,
    );
    this.order = shuffled(context.count);
    this.colouring = context.colouring(run, context.state.colour);
    new Gestures(this);
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  get model() {
    return this.context.models[this.run]!;
  }

  get state() {
    return this.context.state.runs[this.run]!;
  }

  /** The nearest test image within some pixels of a pixel. */
  nearest(pixel: Point, within = Infinity): number {
    const [x, y] = this.camera.place(pixel);
    return this.tree.find(x, y, within / this.camera.scale) ?? NONE;
  }

  /** Shows what lies under the pointer; null hides it. */
  point(pixel: Point | null): void {
    const image = pixel ? this.nearest(pixel, 40) : NONE;
    if (image !== this.context.hovered) this.context.onHover(image, this.run);
    if (!pixel) {
      this.ghost.hide();
      return;
    }
    const z = this.model.lift(this.camera.place(pixel), this.state.z, this.state.axes);
    this.ghost.show(pixel, z, image, this.camera);
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    const density = Math.min(3, devicePixelRatio || 1);
    for (const canvas of [this.under, this.over]) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(height * density);
      canvas.getContext("2d")!.setTransform(density, 0, 0, density, 0, 0);
    }
    this.camera.width = width;
    this.camera.height = height;
    this.fit();
    this.shown = "";
    this.update(this.context.state);
  }

  private fit(): void {
    const circles = this.prior === "circles" || this.prior === "lines";
    this.camera.fit(this.xs, this.ys, circles ? 2.1 : 0);
  }

  private get prior(): Layer["prior"] {
    const { document, latent, samples } = this.model;
    if (document.prior === "normal" && !this.model.discrete)
      return latent > 1 ? "circles" : "lines";
    return samples ? "samples" : "none";
  }

  update(state: State): void {
    const run = state.runs[this.run]!;
    if (run.axes !== this.axes) this.project(run.axes);
    this.camera.look(run.view);
    const { theme, colour, large, lang, map, fade, noisy, label } = state;
    const sliced = map && this.model.latent > 2 ? this.model.lift([0, 0], run.z, run.axes) : [];
    const shown = JSON.stringify([
      run.view,
      run.axes,
      state.runs.map((r) => r.lasso),
      colour,
      theme,
      large,
      lang,
      map,
      fade,
      noisy,
      label,
      sliced.map((value) => Math.round(value * 1e3)),
      this.context.colours.dark,
    ]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.colouring = this.context.colouring(this.run, colour);
      this.marked = this.region(state);
      this.paintSoon();
    }
    this.paintOver();
  }

  private project(axes: string): void {
    this.axes = axes;
    const [xs, ys] = this.model.places(axes);
    this.xs = Float32Array.from(xs);
    this.ys = Float32Array.from(ys);
    this.tree = quadtree<number>()
      .x((i) => this.xs[i]!)
      .y((i) => this.ys[i]!)
      .addAll([...this.xs.keys()]);
    this.fit();
  }

  /** The images of the region, in whichever run it was drawn. */
  private region(state: State): Set<number> | null {
    const owner = state.runs.findIndex((run) => run.lasso.length > 2);
    return owner < 0 ? null : new Set(this.context.within(owner, state.runs[owner]!.lasso));
  }

  private paintSoon(): void {
    once(this.under, () => {
      const { samples } = this.model;
      const layer: Layer = {
        xs: this.xs,
        ys: this.ys,
        order: this.order,
        colouring: this.colouring,
        pictures: this.context.pictures[this.run]!,
        marked: this.marked,
        prior: this.prior,
        priorPlaces: samples && this.prior === "samples" ? this.projected(samples) : null,
        large: this.context.state.large,
        map: this.context.state.map && this.decodes && !this.context.table ? this.map : null,
      };
      const pen = this.under.getContext("2d")!;
      paintPoints(pen, this.camera, layer, this.context.colours, this.context.words);
    });
  }

  private projected(codes: Float32Array): [Float32Array, Float32Array] {
    const { latent } = this.model;
    const size = codes.length / latent;
    const [xs, ys] = [new Float32Array(size), new Float32Array(size)];
    for (let i = 0; i < size; i++) {
      const z = Array.from({ length: latent }, (_, j) => codes[j * size + i]!);
      [xs[i], ys[i]] = this.model.project(z, this.axes) as [number, number];
    }
    return [xs, ys];
  }

  paintOver(): void {
    paintOverlay(this.over.getContext("2d")!, this);
  }

  /** Whether the point can be moved: the run can decode. */
  get decodes(): boolean {
    return this.model.decodes;
  }

  /** The places of the selected image and the hovered one. */
  placeOf(image: number): Point | null {
    if (image === DRAWN || image === NONE) return null;
    return [this.xs[image]!, this.ys[image]!];
  }
}

function shuffled(n: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  let seed = 7;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = seed % (i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
