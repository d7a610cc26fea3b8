// An image of one's own: drawn, dropped or typed, or a test image, and what the model makes of it.
import { type Context, DRAWN, NONE } from "../context";
import { button, el } from "../dom";
import { centred, dab, fromFile, ground, pack, packRow } from "../pad";
import { flush, once } from "../frames";
import { posterior, terms } from "../posterior";
import type { State } from "../state";
import { Rows } from "../rows";
import { Fields } from "./fields";
import { type Panel, whenChanged } from "./panel";

const INK = 0.045; // radius of the pen, of the shorter side

export class OwnPanel implements Panel {
  readonly element = el("div", { class: "panel own" });
  private readonly canvas = el("canvas", { class: "picture pad" });
  private readonly again = el("canvas", { class: "picture", role: "img" });
  private readonly said = el("div", { class: "said", "aria-live": "polite" });
  private readonly number: HTMLInputElement;
  private readonly fields: Fields | null;
  private readonly rows: Rows | null;
  private readonly base: number[];
  private readonly results: HTMLElement;
  private readonly refresh = whenChanged(() => this.judge(this.context.state));
  private ink: HTMLInputElement | null = null;
  private last: [number, number] | null = null;

  constructor(private readonly context: Context) {
    const { words } = context;
    const { form, columns, holes } = context.document.data;
    this.rows = context.table ? new Rows(context) : null;
    this.fields = context.table
      ? new Fields(columns, holes ? words.t("empty_cell") : null, (row, ended) =>
          this.take(row, ended),
        )
      : null;
    this.base = form === "image" ? ground(context) : [];
    const first = String(Math.min(...context.index));
    this.number = el("input", {
      type: "number",
      min: first,
      step: 1,
      "aria-label": words.t("test_number"),
      onchange: () => this.pick(Number(this.number.value)),
    });
    this.results = el(
      "div",
      { class: "results" },
      this.rows?.element ??
        el("figure", {}, this.again, el("figcaption", {}, words.t("reconstruction"))),
      this.said,
    );
    this.element.append(...(context.encodes ? this.tools() : []), this.picker(), this.results);
  }

  private tools(): Node[] {
    const { words } = this.context;
    const { form } = this.context.document.data;
    if (form === "table") return [this.fields!.element];
    if (form === "signal") return [];
    this.canvas.setAttribute("aria-label", words.t("pad_label"));
    this.canvas.setAttribute("role", "img");
    this.canvas.addEventListener("pointerdown", (event) => this.draw(event));
    this.canvas.addEventListener("pointermove", (event) => {
      once(this.canvas, () => this.draw(event));
    });
    for (const name of ["pointerup", "pointercancel"] as const) {
      this.canvas.addEventListener(name, () => this.lift());
    }
    const file = el("input", {
      type: "file",
      accept: "image/*",
      "aria-label": words.t("open_file"),
      onchange: () => void (file.files?.[0] && this.open(file.files[0])),
    });
    const [channels] = this.context.pictures[0]!.layout;
    if (channels === 3) {
      this.ink = el("input", { type: "color", value: "#ff3366", "aria-label": words.t("ink") });
    }
    return [
      el("figure", {}, this.canvas, el("figcaption", {}, words.t("draw_here"))),
      el(
        "div",
        { class: "buttons column" },
        button(words.t("clear"), () => this.take(this.blank())),
        button(
          words.t("centre"),
          () =>
            this.context.drawn &&
            this.take(centred(this.context.drawn, this.context.pictures[0]!.layout, this.base)),
        ),
        button(words.t("invert"), () => this.context.drawn && this.take(this.inverted())),
        this.ink,
        el("label", { class: "file" }, words.t("open_file"), file),
      ),
    ];
  }

  private picker(): HTMLElement {
    const { context } = this;
    const { words } = context;
    return el(
      "div",
      { class: "buttons column" },
      el("label", {}, words.t("test_number"), this.number),
      button(words.t("random_image"), () => context.select(this.random())),
      button(words.t("deselect"), () => context.store.commit({ image: NONE })),
    );
  }

  /** A test image at random, one with a reconstruction. */
  private random(): number {
    const which = this.context.model.stored?.which;
    const place = Math.floor(Math.random() * (which?.length ?? this.context.count));
    return which?.[place] ?? place;
  }

  private pick(index: number): void {
    let best = 0;
    this.context.index.forEach((value, i) => {
      if (Math.abs(value - index) < Math.abs(this.context.index[best]! - index)) best = i;
    });
    this.context.select(best);
  }

  private blank(): Float32Array {
    const [channels, height, width] = this.context.pictures[0]!.layout;
    const size = height * width;
    return Float32Array.from(
      { length: channels * size },
      (_, i) => this.base[Math.floor(i / size)]!,
    );
  }

  private inverted(): Float32Array {
    const [low, high] = this.context.model.document.display;
    return this.context.drawn!.map((value) => low + high - value);
  }

  private draw(event: PointerEvent): void {
    if (event.type === "pointerdown") this.canvas.setPointerCapture(event.pointerId);
    else if (!this.last) return;
    event.preventDefault();
    const { layout } = this.context.pictures[0]!;
    const box = this.canvas.getBoundingClientRect();
    const at: [number, number] = [
      ((event.clientX - box.left) / box.width) * layout[2],
      ((event.clientY - box.top) / box.height) * layout[1],
    ];
    const x = this.context.drawn?.slice() ?? this.blank();
    const from = this.last ?? at;
    const radius = Math.max(0.6, INK * Math.min(layout[1], layout[2]));
    const steps = Math.max(
      1,
      Math.ceil(Math.hypot(at[0] - from[0], at[1] - from[1]) / (radius / 2)),
    );
    for (let i = 1; i <= steps; i++) {
      const share = i / steps;
      dab(
        x,
        layout,
        [from[0] + share * (at[0] - from[0]), from[1] + share * (at[1] - from[1])],
        radius,
        this.colour(),
      );
    }
    this.last = at;
    this.take(x, false);
  }

  private colour(): number[] {
    const [low, high] = this.context.model.document.display;
    if (!this.ink) return this.base.map((value) => low + high - value);
    const rgb = [1, 3, 5].map((i) => parseInt(this.ink!.value.slice(i, i + 2), 16) / 255);
    return rgb.map((value) => low + value * (high - low));
  }

  private lift(): void {
    flush();
    if (!this.last) return;
    this.last = null;
    if (this.context.drawn) this.take(this.context.drawn);
  }

  /** Opens an image file, from the button or dropped on the page. */
  async open(file: File): Promise<void> {
    const { context } = this;
    if (context.document.data.form !== "image") return;
    const { display } = context.model.document;
    this.take(await fromFile(file, context.pictures[0]!.layout, display, this.base));
  }

  /** Makes a row the selected image: the point goes to its code in every run that can encode. */
  private take(x: Float32Array, ended = true): void {
    const { context } = this;
    const {
      binary,
      display: [low, high],
    } = context.model.document;
    context.drawn = binary && ended ? x.map((v) => (v > (low + high) / 2 ? high : low)) : x;
    const text = () => (context.table ? packRow(x) : pack(context.drawn!, [low, high]));
    const drawn = ended ? text() : context.state.drawn;
    context.strokes++;
    context.drawnText = drawn;
    context.store.set({ image: DRAWN, drawn });
    const runs = context.state.runs.map((run, r) => {
      const found = posterior(context, r);
      return found ? { ...run, z: Array.from(found.mean) } : run;
    });
    context.store.set({ runs });
    if (ended) context.store.commit();
  }

  update(state: State): void {
    const { context } = this;
    const pictures = context.pictures[0]!;
    if (pictures.data.form === "image") pictures.paint(this.canvas, context.drawn ?? this.blank());
    if (state.image >= 0) this.number.value = String(context.index[state.image]!);
    if (state.image === NONE) this.number.value = "";
    const subject = context.subject(state.active);
    if (!this.fields?.busy) this.fields?.write(subject?.values ?? this.nearest(state));
    if (subject) this.refresh(state.image, state.drawn, context.strokes, state.active, state.label);
    else {
      this.refresh(NONE);
      this.shown.hidden = true;
      this.said.replaceChildren(el("p", { class: "quiet" }, context.words.t(this.about)));
    }
  }

  /** Where the reconstruction is. */
  private get shown(): HTMLElement {
    return this.rows?.element ?? this.again.parentElement!;
  }

  /** The test row whose code is nearest to the point, which the fields have at first. */
  private nearest(state: State): Float32Array {
    const { active, runs } = state;
    const near = this.context.nearestCode(active, runs[active]!.z);
    return this.context.pictures[active]!.values(near);
  }

  private get about(): string {
    const { encodes, document } = this.context;
    if (!encodes) return "no_encode";
    return { image: "own_about", table: "own_about_values", signal: "own_about_pick" }[
      document.data.form
    ];
  }

  private judge(state: State): void {
    const { context } = this;
    const { model, words } = context;
    const found = posterior(context, state.active);
    if (!context.subject(state.active)) return;
    this.shown.hidden = !found || !model.decodes; // else it is stored, and above
    if (found && model.decodes && this.rows) {
      const row = context.subject(state.active)!.values!;
      const again = { name: words.t("reconstruction"), values: model.decode(found.mean) };
      this.rows.show([{ name: words.t("original"), values: row }, again], row);
    } else if (found && model.decodes) {
      const pictures = context.pictures[state.active]!;
      pictures.paint(this.again, model.decode(found.mean), 200, 150);
      this.again.setAttribute("aria-label", words.t("reconstruction"));
    }
    const lines = [el("strong", {}, context.title(state.image))];
    const add = (text: string) => lines.push(el("p", {}, text) as HTMLElement);
    const { rate, distortion } = terms(context, state.active);
    if (rate !== undefined) add(words.t("rate_said", this.rank("rate", rate)));
    if (distortion !== undefined) {
      const { value: text, share } = this.rank("distortion", distortion);
      add(words.t("distortion_said", { value: text, share }));
      if (Number(share) >= 99) add(words.t("strange"));
    }
    add(words.t(found?.std ? "ellipse_said" : "point_said"));
    this.said.replaceChildren(...lines);
  }

  /** A number with the share of test images for which it is lower, in per cent. */
  private rank(name: "rate" | "distortion", value: number): { value: string; share: string } {
    const all = this.context.model.numbers[name] ?? new Float32Array();
    const lower = all.reduce((count, one) => count + Number(one < value), 0);
    const share = all.length ? Math.round((100 * lower) / all.length) : 0;
    return { value: this.context.words.short(value), share: String(share) };
  }
}
