// The mean code of each class, and the way from one mean to another as a direction of z.
import type { Context } from "../context";
import { button, choice, el } from "../dom";
import { flush, once } from "../frames";
import { album } from "./album";
import type { State } from "../state";
import { type Strip, strip } from "../strip";
import { type Panel, whenChanged } from "./panel";

const REACH = 2;
const CELLS = 9;
const ALL = -1;
const REGION = -2;

export class DirectionsPanel implements Panel {
  readonly element = el("div", { class: "panel directions" });
  private readonly refresh = whenChanged(() => this.build());
  private strip: Strip | null = null;
  private slider: HTMLInputElement | null = null;
  private readonly members = new Map<number, number[]>();

  constructor(private readonly context: Context) {}

  offered(): boolean {
    const { model } = this.context;
    return model.decodes || Boolean(model.stored?.means);
  }

  update(state: State): void {
    const region = state.runs.map((run) => run.lasso);
    this.refresh(state.active, state.from, state.to, region, state.noisy, state.fade);
    this.show(state);
  }

  /** The test images of a class, of the region, or all. */
  private images(which: number): number[] {
    const { context } = this;
    if (which === REGION) {
      const owner = context.state.runs.findIndex((run) => run.lasso.length > 2);
      return owner < 0 ? [] : context.within(owner, context.state.runs[owner]!.lasso);
    }
    let found = this.members.get(which);
    if (!found) {
      found = [...Array(context.count).keys()].filter(
        (i) => which === ALL || context.labels?.[i] === which,
      );
      this.members.set(which, found);
    }
    return found;
  }

  private direction(state: State): number[] | null {
    const { model } = this.context;
    const [from, to] = [this.images(state.from), this.images(state.to)];
    if (!from.length || !to.length || state.from === state.to) return null;
    const [a, b] = [model.centre(from), model.centre(to)];
    return b.map((value, j) => value - a[j]!);
  }

  private build(): void {
    const { context } = this;
    const { words, store, state, model } = context;
    this.strip = this.slider = null;
    const { classes } = context.document.data;
    if (!model.decodes) {
      const names = model.stored!.classes.map((i) => classes[i]!.name);
      this.element.replaceChildren(
        el("h3", {}, words.t("class_means")),
        ...album(context, "means", names),
      );
      return;
    }
    const options: [string, string][] = [[String(ALL), words.t("all_images")]];
    if (this.images(REGION).length) options.push([String(REGION), words.t("the_region")]);
    classes.forEach(({ name }, i) => options.push([String(i), name]));
    const parts: Node[] = [];
    const present = classes.map((_, i) => i).filter((i) => this.images(i).length);
    if (present.length) {
      const means = strip(context, state.active, 72, "strip");
      means.show(
        present.map((i) => model.centre(this.images(i))),
        (_, i) => classes[present[i]!]!.name,
      );
      parts.push(el("h3", {}, words.t("class_means")), means.element);
    }
    const pick = (label: string, key: "from" | "to") =>
      choice(words.t(label), options, String(state[key]), (value) =>
        store.commit({ [key]: Number(value), strength: 0 }),
      );
    parts.push(
      el("h3", {}, words.t("direction")),
      el("p", {}, words.t("direction_about")),
      el("div", { class: "buttons" }, pick("direction_from", "from"), pick("direction_to", "to")),
    );
    if (this.direction(state)) parts.push(...this.controls());
    else parts.push(el("p", {}, words.t("direction_none")));
    this.element.replaceChildren(...parts);
  }

  private controls(): Node[] {
    const { context } = this;
    const { words, store } = context;
    this.strip = strip(context, context.state.active, 72, "strip");
    const slider = el("input", {
      type: "range",
      min: -REACH,
      max: REACH,
      step: 0.01,
      "aria-label": words.t("strength"),
      oninput: () => once(slider, () => this.shift(Number(slider.value))),
      onchange: () => {
        flush();
        store.commit();
      },
    });
    this.slider = slider;
    return [
      this.strip.element,
      el(
        "div",
        { class: "buttons" },
        el("span", {}, words.t("strength")),
        slider,
        button(words.t("direction_zero"), () => {
          this.shift(0);
          store.commit();
        }),
      ),
    ];
  }

  /** Moves the point along the direction, to a strength. */
  private shift(strength: number): void {
    const { state, store } = this.context;
    const direction = this.direction(state);
    if (!direction) return;
    const { z } = state.runs[state.active]!;
    const moved = z.map((value, j) => value + (strength - state.strength) * direction[j]!);
    store.setRun(state.active, { z: moved }, { strength });
  }

  private show(state: State): void {
    const direction = this.direction(state);
    if (!direction || !this.strip || !this.slider) return;
    if (Number(this.slider.value) !== state.strength) this.slider.value = String(state.strength);
    const { z } = state.runs[state.active]!;
    const strengths = Array.from({ length: CELLS }, (_, i) => REACH * ((2 * i) / (CELLS - 1) - 1));
    this.strip.show(
      strengths.map((t) => z.map((value, j) => value + (t - state.strength) * direction[j]!)),
      (_, i) => this.context.words.number(strengths[i]!, 1),
    );
  }
}
