// The card beside the pointer: what the decoder makes of this place, and the nearest test image.
import type { Camera } from "./camera";
import { type Context, NONE } from "./context";
import { copy, el } from "./dom";
import type { Point } from "./state";

export class Ghost {
  readonly element: HTMLElement;
  private readonly decoded = el("canvas", { class: "picture" });
  private readonly nearest = el("canvas", { class: "picture" });
  private readonly caption = el("figcaption");
  private readonly numbers = el("p");
  private readonly first: HTMLElement;
  private readonly second: HTMLElement;
  private image = -9;

  constructor(
    private readonly context: Context,
    private readonly run: number,
  ) {
    const { words } = context;
    const { decodes } = context.models[run]!;
    this.first = el(
      "figure",
      {},
      this.decoded,
      el("figcaption", {}, words.t(decodes ? "decoded_here" : "reconstruction")),
    );
    this.second = el("figure", {}, this.nearest, this.caption);
    this.element = el(
      "div",
      { class: "ghost", "aria-hidden": "true", hidden: true },
      el("div", { class: "pair" }, this.first, this.second),
      this.numbers,
    );
  }

  hide(): void {
    this.element.hidden = true;
  }

  show(pixel: Point, z: number[], image: number, camera: Camera): void {
    const { context, run } = this;
    const model = context.models[run]!;
    const again = image === NONE ? NONE : model.reconstruction(image);
    this.first.hidden = !model.decodes && again < 0;
    this.second.hidden = image === NONE;
    this.element.hidden = this.first.hidden && image === NONE;
    if (again >= 0) copy(this.decoded, context.pictures[run]!.tile(again, "reconstructions"));
    if (model.decodes) {
      context.pictures[run]!.paint(this.decoded, model.decode(z), 96, 72);
      const { fade } = context.state.fade ? model.thinness(z) : { fade: 0 };
      this.decoded.style.opacity = String(1 - 0.8 * fade);
    }
    if (image !== NONE && image !== this.image) {
      copy(this.nearest, context.pictures[run]!.tile(image));
      this.caption.textContent = context.title(image);
      this.numbers.textContent = this.said(image);
    }
    this.numbers.hidden = image === NONE;
    this.image = image;
    const right = pixel[0] > camera.width - 230;
    const low = pixel[1] > camera.height - 170;
    this.element.style.transform =
      `translate(${pixel[0]}px, ${pixel[1]}px) ` +
      `translate(${right ? "calc(-100% - 18px)" : "18px"}, ${low ? "calc(-100% - 14px)" : "14px"})`;
  }

  private said(image: number): string {
    const { words } = this.context;
    return Object.entries(this.context.models[this.run]!.numbers)
      .filter(([name]) => ["nll", "rate", "distortion"].includes(name))
      .slice(0, 3)
      .map(([name, values]) => `${words.t(`number_${name}`)} ${words.short(values[image]!)}`)
      .join(" · ");
  }
}
