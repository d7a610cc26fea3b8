// A slider for every dimension of z, the most informative first; its name opens its traversal.
import type { Context } from "./context";
import { button, el } from "./dom";
import { flush, once } from "./frames";
import type { State } from "./state";
import { type Strip, strip } from "./strip";

const STEPS = 9; // pictures of a traversal
const REACH = 3; // standard deviations to both sides

interface Row {
  dimension: number;
  input: HTMLInputElement;
  value: HTMLElement;
  name: HTMLButtonElement;
  strip: Strip | null;
  place: HTMLElement;
}

export class Sliders {
  readonly element: HTMLElement;
  private readonly rows: Row[];

  constructor(
    private readonly context: Context,
    private readonly run: number,
  ) {
    const { words } = context;
    const model = context.models[run]!;
    this.rows = model.order.map((j) => this.row(j));
    const { kl, active } = model.document.dimensions;
    if (model.latent < 3) for (const row of this.rows) this.toggle(row); // there is room
    const total = kl?.reduce((sum, value) => sum + value, 0) ?? 0;
    const said = words.t(kl ? "active_units" : "active_units_only", {
      active: active.filter(Boolean).length,
      all: active.length,
      nats: words.short(total),
    });
    this.element = el(
      "section",
      { class: "sliders", "aria-label": words.t("sliders") },
      el("h2", {}, words.t("sliders"), el("small", {}, said)),
      el("div", { class: "rows" }, ...this.rows.map((row) => row.place)),
    );
  }

  private row(dimension: number): Row {
    const { context, run } = this;
    const { words, store } = context;
    const { kl, active, centre, spread } = context.models[run]!.document.dimensions;
    const [middle, wide] = [centre[dimension]!, Math.max(spread[dimension]!, 1e-3)];
    const input = el("input", {
      type: "range",
      min: Math.min(-REACH, middle - 4 * wide).toPrecision(4),
      max: Math.max(REACH, middle + 4 * wide).toPrecision(4),
      step: "any",
      "aria-label": words.t("slider_label", { name: words.z(dimension) }),
      oninput: () => once(input, () => this.move(dimension, Number(input.value))),
      onchange: () => {
        flush();
        store.commit();
      },
    });
    const nats = kl?.[dimension];
    const most = Math.max(...(kl ?? [1]), 1e-6);
    const share = `width: ${Math.round((100 * Math.max(0, nats ?? 0)) / most)}%`;
    const name = button(words.z(dimension), () => this.toggle(row), {
      class: "name",
      "aria-expanded": "false",
      title: words.t("open_traversal"),
    });
    const value = el("output");
    const place = el(
      "div",
      { class: active[dimension] ? "row" : "row idle" },
      name,
      el(
        "span",
        { class: "nats", title: words.t(active[dimension] ? "active" : "inactive") },
        el("span", { class: "bar", style: share }),
        el("span", {}, nats === undefined ? "" : words.nats(nats)),
      ),
      input,
      value,
    );
    const row: Row = { dimension, input, value, name, strip: null, place };
    return row;
  }

  private move(dimension: number, value: number): void {
    const z = [...this.context.state.runs[this.run]!.z];
    z[dimension] = value;
    this.context.store.setRun(this.run, { z });
  }

  private toggle(row: Row): void {
    if (row.strip) {
      row.strip.element.remove();
      row.strip = null;
    } else if (this.context.models[this.run]!.decodes) {
      row.strip = strip(this.context, this.run);
      row.place.append(row.strip.element);
      this.traverse(row, this.context.state);
    }
    row.name.setAttribute("aria-expanded", String(row.strip !== null));
  }

  private traverse(row: Row, state: State): void {
    const { centre, spread } = this.context.models[this.run]!.document.dimensions;
    const { z } = state.runs[this.run]!;
    const codes = Array.from({ length: STEPS }, (_, i) => {
      const code = [...z];
      const side = (2 * i) / (STEPS - 1) - 1;
      code[row.dimension] = centre[row.dimension]! + REACH * side * spread[row.dimension]!;
      return code;
    });
    row.strip!.show(codes, (code) => this.context.words.number(code[row.dimension]!, 1));
  }

  update(state: State): void {
    const { z } = state.runs[this.run]!;
    for (const row of this.rows) {
      const value = z[row.dimension]!;
      if (Number(row.input.value) !== value) row.input.value = String(value);
      row.value.textContent = this.context.words.number(value);
      if (row.strip) this.traverse(row, state);
    }
  }
}
