// Samples of the prior, decoded.
import type { Context } from "../context";
import { button, el } from "../dom";
import type { State } from "../state";
import { strip } from "../strip";
import { album } from "./album";
import { type Panel, whenChanged } from "./panel";

const SHOWN = 40;

export class SamplesPanel implements Panel {
  readonly element = el("div", { class: "panel samples" });
  private readonly refresh = whenChanged(() => this.build());

  constructor(private readonly context: Context) {}

  offered(): boolean {
    const { samples, stored } = this.context.model;
    return Boolean(samples ?? stored?.samples);
  }

  update(state: State): void {
    const labels = this.context.models.map((model) => model.label);
    this.refresh(state.page, state.active, state.noisy, state.fade, labels);
  }

  private build(): void {
    const { context } = this;
    const { words, store, state, model } = context;
    const { samples, latent, document } = model;
    const normal = document.prior === "normal";
    const prior = normal ? "N(0, I)" : document.prior;
    if (!samples) {
      const names = new Array<string>(model.stored!.samples!.shape[0]!).fill("");
      this.element.replaceChildren(
        ...album(context, "samples", names),
        el("p", {}, words.t("samples_stored", { prior })),
      );
      return;
    }
    const size = samples.length / latent;
    const [from, count] = document.given
      ? [
          Math.floor((size * model.label) / document.given.length),
          Math.floor(size / document.given.length),
        ]
      : [0, size];
    const codes = Array.from({ length: Math.min(SHOWN, count) }, (_, i) => {
      const sample = from + ((state.page * SHOWN + i) % count);
      return Array.from({ length: latent }, (_, j) => samples[j * size + sample]!);
    });
    const grid = strip(context, state.active, 72, "grid");
    grid.show(codes, () => "");
    const about = words.t(document.point && normal ? "samples_point" : "samples_about", { prior });
    this.element.replaceChildren(
      grid.element,
      el("p", {}, about),
      el(
        "div",
        { class: "buttons" },
        button(words.t("more"), () => store.commit({ page: context.state.page + 1 })),
        state.page ? button(words.t("first_samples"), () => store.commit({ page: 0 })) : null,
      ),
    );
  }
}
