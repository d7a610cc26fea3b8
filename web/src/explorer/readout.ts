// The decoded image of the point, large, beside the image that it is compared with; of a table the
// two rows.
import { type Context, DRAWN, NONE } from "./context";
import { copy, el } from "./dom";
import { Rows, type Shown } from "./rows";
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
  private readonly rows: Rows | null;
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
    this.rows = context.table ? new Rows(context) : null;
    this.element = el(
      "section",
      { class: "readout", "aria-label": words.t("decoded") },
      this.rows?.element ?? el("div", { class: "pair" }, this.decodedSide, this.comparedSide),
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
    if (!this.rows) this.compare(image);
    this.measure(state, z);
  }

  /** Shows the row that is compared with beside another one, of this name. */
  private list(rows: Rows, image: number, name: string, values: Float32Array | null): void {
    const { context, run } = this;
    const row = image === DRAWN ? context.drawn : context.pictures[run]!.values(image);
    const key = context.state.image === NONE ? "nearest_is" : "input_is";
    const shown: Shown[] = [];
    if (values) shown.push({ name, values });
    const title = context.words.t(key, { title: context.title(image) });
    if (row) shown.push({ name: title, values: row });
    rows.show(shown, row);
  }

  private decode(state: State, z: number[], image: number): void {
    const { context, model, run } = this;
    const { words } = context;
    const values = model.decode(z, state.noisy);
    this.caption.textContent = words.t(state.noisy ? "decoded_sample" : "decoded");
    const { distance, beyond, fade } = model.thinness(z);
    const strength = state.fade ? 1 - 0.85 * fade : 1;
    if (this.rows) {
      this.list(this.rows, image, this.caption.textContent, values);
      this.rows.fade(0, Math.max(0.4, strength));
    } else {
      context.pictures[run]!.paint(this.decoded, values, this.width, this.width * 0.75);
      this.decoded.style.opacity = String(strength);
    }
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
    const pictures = context.pictures[run]!;
    if (this.rows) {
      const values = place < 0 ? null : pictures.values(place, "reconstructions");
      this.list(this.rows, image, words.t("reconstruction"), values);
      return;
    }
    if (place < 0) return;
    this.caption.textContent = words.t("reconstruction");
    const { width } = this;
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
