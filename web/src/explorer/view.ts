// One run on the page: its toolbar, plane and legend, its decoded image and its sliders.
import type { Context } from "./context";
import { button, choice, el } from "./dom";
import { icon } from "./icons";
import { dimensions } from "./model";
import { Plane } from "./plane";
import { Readout } from "./readout";
import { Sliders } from "./sliders";
import type { Mode, State } from "./state";
import { MODES } from "./state";

export class RunView {
  readonly element: HTMLElement;
  readonly plane: Plane;
  private readonly readout: Readout;
  private readonly sliders: Sliders;
  private readonly legend = el("div", { class: "legend" });
  private readonly modes = new Map<Mode, HTMLButtonElement>();
  private readonly selects: [HTMLLabelElement, (state: State) => string][] = [];
  private vertical: HTMLElement | null = null; // the choice that the plane of PCA has not
  private readonly map: HTMLButtonElement;
  private legendOf = "";

  constructor(
    private readonly context: Context,
    private readonly run: number,
  ) {
    this.plane = new Plane(context, run);
    this.readout = new Readout(context, run);
    this.sliders = new Sliders(context, run);
    const { words, store } = context;
    this.map = button("", () => store.commit({ map: !context.state.map }), {
      title: words.t("map_about"),
    });
    this.map.append(icon("map"), words.t("map"));
    const several = context.models.length > 1;
    const name = context.document.runs[run]!.name;
    this.element = el(
      "section",
      { class: "run", "aria-label": name },
      several ? el("h2", { class: "run-name" }, name) : null,
      el(
        "div",
        { class: "left" },
        this.toolbar(),
        el(
          "div",
          { class: "stage" },
          this.plane.element,
          this.zoomButtons(),
          run === 0 && this.plane.decodes ? el("p", { class: "hint" }, words.t("drag_me")) : null,
        ),
        this.legend,
      ),
      el(
        "div",
        { class: "right" },
        this.readout.element,
        this.plane.decodes ? this.sliders.element : null,
      ),
    );
    for (const gesture of ["pointerdown", "wheel", "keydown"]) {
      this.element.addEventListener(gesture, () => this.element.classList.add("touched"), {
        passive: true,
      });
    }
  }

  private toolbar(): HTMLElement {
    const { context, run } = this;
    const { words, store } = context;
    const bar = el("div", { class: "toolbar", role: "toolbar", "aria-label": words.t("tools") });
    const group = el("div", { class: "modes", role: "group", "aria-label": words.t("modes") });
    for (const mode of MODES) {
      if (!this.plane.decodes && (mode === "move" || mode === "path")) continue;
      const press = button("", () => store.commit({ mode }), {
        title: words.t(`mode_${mode}_about`),
      });
      press.append(icon(mode), words.t(`mode_${mode}`));
      this.modes.set(mode, press);
      group.append(press);
    }
    bar.append(group);
    this.select(
      bar,
      words.t("colour_by"),
      context.colourings(run),
      (state) => state.colour,
      (colour) => store.commit({ colour }),
    );
    const { latent } = context.models[run]!;
    if (latent > 2) this.axes(bar);
    if (latent > 1 && this.plane.decodes && !context.table) bar.append(this.map);
    return bar;
  }

  private select(
    bar: HTMLElement,
    label: string,
    options: [string, string][],
    get: (state: State) => string,
    set: (value: string) => void,
  ): void {
    const made = choice(label, options, get(this.context.state), set);
    this.selects.push([made, get]);
    bar.append(made);
  }

  /** The choice of the plane: two dimensions, or the plane of the principal components. */
  private axes(bar: HTMLElement): void {
    const { context, run } = this;
    const { words, store } = context;
    const model = context.models[run]!;
    const get = (state: State) => state.runs[run]!.axes;
    const change = (axes: string) => {
      store.setRun(run, { axes, view: null, lasso: [] });
      store.commit();
    };
    const { pca } = model.document;
    const share = words.number(100 * (pca?.shares.reduce((a, b) => a + b, 0) ?? 0), 0);
    const across = model.order.map((j): [string, string] => [String(j), words.z(j)]);
    /** The axes after one of them was chosen: the other stays, or gives way. */
    const chosen = (place: 0 | 1, value: string) => {
      const now = get(context.state);
      const kept = now === "pca" ? model.order[1 - place]! : dimensions(now)[1 - place]!;
      const other = String(kept) === value ? model.order.find((j) => j !== kept)! : kept;
      return place === 0 ? `${value},${other}` : `${other},${value}`;
    };
    this.select(
      bar,
      words.t("horizontal"),
      [["pca", words.t("pca_plane", { share })], ...across],
      (state) => (get(state) === "pca" ? "pca" : String(dimensions(get(state))[0])),
      (value) => change(value === "pca" ? value : chosen(0, value)),
    );
    this.select(
      bar,
      words.t("vertical"),
      across,
      (state) => String(dimensions(get(state))[1]),
      (value) => change(chosen(1, value)),
    );
    this.vertical = bar.lastElementChild as HTMLElement;
  }

  private zoomButtons(): HTMLElement {
    const { context, plane, run } = this;
    const { words, store } = context;
    const zoom = (factor: number) => {
      const middle: [number, number] = [plane.camera.width / 2, plane.camera.height / 2];
      store.setRun(run, { view: plane.camera.zoomed(factor, middle) });
      store.commit();
    };
    const fit = () => {
      store.setRun(run, { view: null });
      store.commit();
    };
    const whole = button("", fit, {
      "aria-label": words.t("zoom_fit"),
      title: words.t("zoom_fit"),
    });
    whole.append(icon("fit"));
    return el(
      "div",
      { class: "zoom" },
      button("+", () => zoom(1.6), { "aria-label": words.t("zoom_in"), title: words.t("zoom_in") }),
      button("−", () => zoom(1 / 1.6), {
        "aria-label": words.t("zoom_out"),
        title: words.t("zoom_out"),
      }),
      whole,
    );
  }

  update(state: State): void {
    for (const [mode, press] of this.modes) {
      press.setAttribute("aria-pressed", String(state.mode === mode));
    }
    this.map.setAttribute("aria-pressed", String(state.map));
    for (const [label, get] of this.selects) {
      const select = label.querySelector("select")!;
      if (select.value !== get(state)) select.value = get(state);
    }
    if (this.vertical) this.vertical.hidden = state.runs[this.run]!.axes === "pca";
    this.element.dataset.mode = state.mode;
    this.element.classList.toggle("active", state.active === this.run);
    this.plane.update(state);
    this.readout.update(state);
    this.sliders.update(state);
    this.describe(state);
  }

  private describe(state: State): void {
    const shown = `${state.colour} ${this.context.colours.dark}`;
    if (shown === this.legendOf) return;
    this.legendOf = shown;
    const { words } = this.context;
    const { domain, styles } = this.plane.colouring;
    this.legend.replaceChildren();
    if (domain) {
      const ramp = el("span", { class: "ramp" });
      const stops = styles.map((style) => style.colour).join(", ");
      ramp.style.background = `linear-gradient(to right, ${stops})`;
      const name =
        this.context.colourings(this.run).find(([key]) => key === state.colour)?.[1] ?? "";
      this.legend.append(
        el("span", {}, name),
        el("span", {}, words.short(domain[0])),
        ramp,
        el("span", {}, words.short(domain[1])),
        el(
          "small",
          {},
          state.colour in this.context.models[this.run]!.numbers
            ? words.t(`about_${state.colour}`)
            : "",
        ),
      );
      return;
    }
    for (const { colour, marker, name } of styles) {
      if (!name) continue;
      const swatch = el(
        "span",
        { class: "swatch", "aria-hidden": "true" },
        marker === "^" ? "▲" : marker === "s" ? "■" : "●",
      );
      swatch.style.color = colour;
      this.legend.append(el("span", { class: "key" }, swatch, name));
    }
  }
}
