// The card beside the pointer: what the decoder makes of this place, and the nearest test image.
import type { Camera } from "./camera";
import { type Context, NONE } from "./context";
import { el } from "./dom";
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
    this.first = el("figure", {}, this.decoded, el("figcaption", {}, words.t("decoded_here")));
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
    const can = model.can("decode") && !model.discrete;
    this.first.hidden = !can;
    this.second.hidden = image === NONE;
    this.element.hidden = !can && image === NONE;
    if (can) {
      context.pictures[run]!.paint(this.decoded, model.decode(z), 96, 72);
      const { fade } = context.state.fade ? model.thinness(z) : { fade: 0 };
      this.decoded.style.opacity = String(1 - 0.8 * fade);
    }
    if (image !== NONE && image !== this.image) {
      context.pictures[run]!.paint(this.nearest, context.pictures[run]!.values(image), 96, 72);
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
