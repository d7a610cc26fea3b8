// The decoded image of the point, large, beside the image that it is compared with.
import { type Context, DRAWN, NONE } from "./context";
import { copy, el } from "./dom";
import { posterior, terms } from "./posterior";
import type { State } from "./state";

export class Readout {
  readonly element: HTMLElement;
  private readonly decoded = el("canvas", { class: "picture", role: "img" });
  private readonly compared = el("canvas", { class: "picture", role: "img" });
  private readonly code = el("p", { class: "code" });
  private readonly thin = el("p", { class: "thin" });
  private readonly caption = el("figcaption"); // of the decoded picture
  private readonly name = el("figcaption");
  private readonly terms = el("p", { class: "terms" });
  private readonly decodedSide: HTMLElement;
  private readonly comparedSide: HTMLElement;
  private readonly frame: HTMLElement;
  private width = 280; // of the frame in pixels; an observer, as asking in a gesture costs a layout
  private own: string[] = [];
  private ownOf = "";

  constructor(
    private readonly context: Context,
    private readonly run: number,
  ) {
    const { words } = context;
    this.code.id = `where-${run}`;
    this.frame = el("div", { class: "frame" }, this.decoded);
    this.decodedSide = el("figure", { class: "decoded" }, this.frame, this.caption);
    this.comparedSide = el("figure", { class: "compared" }, this.compared, this.name);
    this.element = el(
      "section",
      { class: "readout", "aria-label": words.t("decoded") },
      el("div", { class: "pair" }, this.decodedSide, this.comparedSide),
      this.code,
      this.thin,
      this.terms,
    );
    new ResizeObserver(([entry]) => this.resize(entry!.contentRect.width)).observe(this.frame);
  }

  private resize(width: number): void {
    if (!width || width === this.width) return;
    this.width = width;
    this.update(this.context.state);
  }

  private get model() {
    return this.context.models[this.run]!;
  }

  update(state: State): void {
    const { context, model, run } = this;
    const { words } = context;
    const { z } = state.runs[run]!;
    const image = state.image === NONE ? context.nearestCode(run, z) : state.image;
    this.code.textContent = words.t("code_is", { code: words.code(z) });
    if (model.decodes) this.decode(state, z, image);
    else this.recall(image);
    this.compare(image);
    this.measure(state, z);
  }

  private decode(state: State, z: number[], image: number): void {
    const { context, model, run } = this;
    const { words } = context;
    const values = model.decode(z, state.noisy);
    this.caption.textContent = words.t(state.noisy ? "decoded_sample" : "decoded");
    context.pictures[run]!.paint(this.decoded, values, this.width, this.width * 0.75);
    const { distance, beyond, fade } = model.thinness(z);
    this.decoded.style.opacity = state.fade ? String(1 - 0.85 * fade) : "1";
    const said = { distance: words.number(distance), share: beyond };
    const text = beyond ? words.t("thin", said) : words.t("dense", said);
    this.thin.textContent = state.fade ? text : "";
    this.thin.classList.toggle("warned", state.fade && beyond === 99);
    const near = image === DRAWN ? "" : context.title(image);
    this.decoded.setAttribute(
      "aria-label",
      words.t("decoded_label", { code: words.code(z), near }),
    );
  }

  /** Shows the stored reconstruction of a test image, where there is one. */
  private recall(image: number): void {
    const { context, model, run } = this;
    const { words } = context;
    const place = model.reconstruction(image);
    this.decodedSide.hidden = place < 0;
    const count = model.stored!.which.length;
    this.thin.textContent = words.t(count < context.count ? "by_python_some" : "by_python", {
      count,
      all: context.count,
    });
    if (place < 0) return;
    this.caption.textContent = words.t("reconstruction");
    const { width } = this;
    const pictures = context.pictures[run]!;
    pictures.paintRow(this.decoded, place, "reconstructions", width, width * 0.75);
    const said = { title: context.title(image) };
    this.decoded.setAttribute("aria-label", words.t("reconstruction_of", said));
  }

  private compare(image: number): void {
    const { context, run } = this;
    const pictures = context.pictures[run]!;
    const { words } = context;
    const values = image === DRAWN ? context.drawn : pictures.values(image);
    this.comparedSide.hidden = !values;
    if (!values) return;
    if (image !== DRAWN && !pictures.whole) copy(this.compared, pictures.tile(image));
    else pictures.paint(this.compared, values, 150, 112);
    const title = context.title(image);
    const chosen = context.state.image !== NONE;
    this.name.textContent = words.t(chosen ? "input_is" : "nearest_is", { title });
    this.compared.setAttribute("aria-label", this.name.textContent);
    this.comparedSide.classList.toggle("chosen", chosen);
  }

  /** The terms of the ELBO for the selected image, and its distortion at the point. */
  private measure(state: State, z: number[]): void {
    const { context, model, run } = this;
    const found = posterior(context, run);
    this.terms.hidden = !found;
    if (!found) return;
    const { words } = context;
    const key = JSON.stringify([
      state.image,
      state.drawn,
      context.strokes,
      state.label,
      words.lang,
    ]);
    if (key !== this.ownOf) {
      this.ownOf = key;
      const measured = Object.entries(terms(context, run));
      this.own = measured.map(([name, value]) =>
        words.t(`${name}_is`, { value: words.short(value) }),
      );
    }
    const parts = [...this.own];
    const values = context.subject(run)?.values;
    if (values && model.can("distortion")) {
      const moved = z.some((value, j) => Math.abs(value - found.mean[j]!) > 1e-3);
      if (moved) {
        const here = words.short(model.distortion(values, z));
        parts.push(words.t("distortion_here", { value: here }));
      }
    }
    this.terms.textContent = parts.join(" · ");
  }
}
