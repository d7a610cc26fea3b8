// What was trained, and what the page cannot show and why.
import type { Context } from "../context";
import { el } from "../dom";
import { type Panel, whenChanged } from "./panel";
import type { State } from "../state";

export class AboutPanel implements Panel {
  readonly element = el("div", { class: "panel about" });
  private readonly refresh = whenChanged(() => this.build());

  constructor(private readonly context: Context) {}

  update(state: State): void {
    this.refresh(state.active);
  }

  private build(): void {
    const { words, model, document, count } = this.context;
    const { data } = document;
    const run = model.document;
    const about = run.about[words.lang];
    const facts: [string, string][] = [
      ["fact_recipe", run.name],
      [
        "fact_data",
        words.t("data_is", {
          name: data.name,
          count,
          all: data.total,
          shape: data.shape.join(" × "),
        }),
      ],
      ["fact_latent", words.t("latent_is", { count: run.latent, prior: run.prior })],
      ["fact_likelihood", run.likelihood],
      ["fact_parameters", words.whole(run.parameters)],
    ];
    const list = el("dl");
    for (const [key, value] of facts) list.append(el("dt", {}, words.t(key)), el("dd", {}, value));
    this.element.replaceChildren(
      el(
        "div",
        {},
        el("h3", {}, words.t("about_run")),
        about ? el("p", {}, about) : null,
        list,
        el("h3", {}, words.t("cannot")),
        this.missing(),
      ),
      el(
        "details",
        {},
        el("summary", {}, words.t("recipe")),
        el("pre", { tabindex: 0 }, run.recipe),
      ),
    );
  }

  private missing(): HTMLElement {
    const { context } = this;
    const { words, model } = context;
    const parts = new Map<string, string[]>(); // by their reason
    for (const [name, said] of Object.entries(model.document.missing)) {
      const reason = said[words.lang];
      parts.set(reason, [...(parts.get(reason) ?? []), words.t(`part_${name}`)]);
    }
    const lines = [...parts].map(([reason, names]) =>
      words.t("missing_line", { what: names.join(", "), reason }),
    );
    if (model.discrete) lines.push(words.t("discrete"));
    if (model.can("encode") && !context.pictures[context.state.active]!.whole)
      lines.push(words.t("reduced"));
    if (model.decodes && !model.document.dimensions.kl) lines.push(words.t("no_kl"));
    if (!("nll" in model.numbers)) lines.push(words.t("no_evaluation"));
    if (context.count < context.document.data.total) {
      lines.push(words.t("not_all", { count: context.count, all: context.document.data.total }));
    }
    if (!lines.length) return el("p", {}, words.t("nothing_missing"));
    return el("ul", {}, ...lines.map((line) => el("li", {}, line)));
  }
}
