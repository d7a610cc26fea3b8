// The card beside the pointer: what the decoder makes of this place, and the nearest test image.
import type { Camera } from "./camera";
import { type Context, NONE } from "./context";
import { copy, el } from "./dom";
import { Rows, type Shown } from "./rows";
import type { Point } from "./state";

const COLUMNS = 12; // of a row of a table, at most

export class Ghost {
  readonly element: HTMLElement;
  private readonly decoded = el("canvas", { class: "picture" });
  private readonly nearest = el("canvas", { class: "picture" });
  private readonly caption = el("figcaption");
  private readonly numbers = el("p");
  private readonly first: HTMLElement;
  private readonly second: HTMLElement;
  private readonly rows: Rows | null;
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
    this.rows = context.table ? new Rows(context, "", COLUMNS) : null;
    this.element = el(
      "div",
      { class: "ghost", "aria-hidden": "true", hidden: true },
      this.rows?.element ?? el("div", { class: "pair" }, this.first, this.second),
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
    if (this.rows) this.list(this.rows, z, image, again);
    else this.picture(z, image, again);
    if (image !== NONE && image !== this.image) this.numbers.textContent = this.said(image);
    this.numbers.hidden = image === NONE;
    this.image = image;
    const right = pixel[0] > camera.width - 230;
    const low = pixel[1] > camera.height - 170;
    this.element.style.transform =
      `translate(${pixel[0]}px, ${pixel[1]}px) ` +
      `translate(${right ? "calc(-100% - 18px)" : "18px"}, ${low ? "calc(-100% - 14px)" : "14px"})`;
  }

  private picture(z: number[], image: number, again: number): void {
    const { context, run } = this;
    const model = context.models[run]!;
    if (again >= 0) copy(this.decoded, context.pictures[run]!.tile(again, "reconstructions"));
    if (model.decodes) {
      context.pictures[run]!.paint(this.decoded, model.decode(z), 96, 72);
      const { fade } = context.state.fade ? model.thinness(z) : { fade: 0 };
      this.decoded.style.opacity = String(1 - 0.8 * fade);
    }
    if (image === NONE || image === this.image) return;
    copy(this.nearest, context.pictures[run]!.tile(image));
    this.caption.textContent = context.title(image);
  }

  /** The decoded row, or a stored reconstruction, beside the nearest row of the data. */
  private list(rows: Rows, z: number[], image: number, again: number): void {
    const { context, run } = this;
    const { words } = context;
    const model = context.models[run]!;
    const pictures = context.pictures[run]!;
    const near = image === NONE ? null : pictures.values(image);
    const shown: Shown[] = [];
    if (near) shown.push({ name: context.title(image), values: near });
    if (again >= 0) {
      const values = pictures.values(again, "reconstructions");
      shown.push({ name: words.t("reconstruction"), values });
    } else if (model.decodes)
      shown.push({ name: words.t("decoded_here"), values: model.decode(z) });
    rows.show(shown, near);
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
