// The images of a region: a grid, their classes, their mean numbers, their mean decoded.
import type { Context } from "../context";
import { button, copy, el, fileName, save } from "../dom";
import type { State } from "../state";
import { Rows } from "../rows";
import { strip } from "../strip";
import { type Panel, whenChanged } from "./panel";

const SHOWN = 60;

export class RegionPanel implements Panel {
  readonly element = el("div", { class: "panel region" });
  private readonly refresh = whenChanged(() => this.build());

  constructor(private readonly context: Context) {}

  update(state: State): void {
    this.refresh(
      state.runs.map((run) => [run.lasso, run.axes]),
      state.active,
      state.colour,
    );
  }

  private build(): void {
    const { context } = this;
    const { words, state } = context;
    const owner = state.runs.findIndex((run) => run.lasso.length > 2);
    const images = owner < 0 ? [] : context.within(owner, state.runs[owner]!.lasso);
    if (!images.length) {
      this.element.replaceChildren(
        el("p", {}, words.t(owner < 0 ? "region_none" : "region_empty")),
      );
      return;
    }
    const model = context.models[owner]!;
    const centre = model.centre(images);
    const sorted = [...images].sort(
      (a, b) => this.far(owner, a, centre) - this.far(owner, b, centre),
    );
    const grid = this.grid(owner, sorted.slice(0, SHOWN));
    const count = words.t("region_count", {
      count: images.length,
      all: context.count,
      shown: Math.min(SHOWN, images.length),
    });
    this.element.replaceChildren(
      el("div", { class: "wide" }, el("h3", {}, count), grid),
      el(
        "div",
        { class: "side" },
        this.classes(images),
        this.numbers(owner, images),
        this.mean(owner, centre),
        el(
          "div",
          { class: "buttons" },
          button(words.t("download_csv"), () => this.csv(owner, images)),
          model.decodes
            ? button(words.t("region_direction"), () =>
                context.store.commit({ tab: "directions", from: -1, to: -2, strength: 0 }),
              )
            : null,
          button(words.t("region_clear"), () => {
            const runs = context.state.runs.map((run) => ({ ...run, lasso: [] }));
            context.store.commit({ runs });
          }),
        ),
      ),
    );
  }

  private far(owner: number, image: number, centre: number[]): number {
    return this.context.models[owner]!.code(image).reduce(
      (sum, value, j) => sum + (value - centre[j]!) ** 2,
      0,
    );
  }

  /** The images of the region, or the rows of a table. */
  private grid(owner: number, images: number[]): HTMLElement {
    const { context } = this;
    if (!context.table) {
      return el("div", { class: "tiles" }, ...images.map((image) => this.tile(owner, image)));
    }
    const rows = new Rows(context, "strip");
    rows.show(
      images.map((image) => ({
        name: String(context.index[image]!),
        values: context.pictures[owner]!.values(image),
        press: () => context.select(image),
        enter: () => context.onHover(image, owner),
      })),
    );
    return rows.element;
  }

  private tile(owner: number, image: number): HTMLElement {
    const { context } = this;
    const canvas = el("canvas", { class: "picture" });
    const source = context.pictures[owner]!.tile(image);
    copy(canvas, source);
    const cell = el(
      "button",
      {
        type: "button",
        class: "cell",
        title: context.title(image),
        "aria-label": context.title(image),
        onclick: () => context.select(image),
        onpointerenter: () => context.onHover(image, owner),
        onpointerleave: () => context.onHover(-1, owner),
      },
      canvas,
    );
    return cell;
  }

  private classes(images: number[]): HTMLElement | null {
    const { context } = this;
    const { classes } = context.document.data;
    if (!context.labels || !classes.length) return null;
    const counts = new Array<number>(classes.length).fill(0);
    for (const image of images) {
      const place = context.labels[image]!;
      if (place >= 0) counts[place]!++;
    }
    const { styles } = context.colouring(0, "class");
    const rows = [...counts.keys()]
      .filter((i) => counts[i])
      .sort((a, b) => counts[b]! - counts[a]!);
    const most = Math.max(...counts, 1);
    return el(
      "table",
      { class: "bars" },
      el("caption", {}, context.words.t("region_classes")),
      ...rows.map((i) => {
        const bar = el("span", { class: "bar" });
        bar.style.width = `${(100 * counts[i]!) / most}%`;
        bar.style.background = styles[i]!.colour;
        return el(
          "tr",
          {},
          el("th", { scope: "row" }, classes[i]!.name),
          el("td", { class: "wide" }, bar),
          el("td", {}, context.words.whole(counts[i]!)),
        );
      }),
    );
  }

  private numbers(owner: number, images: number[]): HTMLElement {
    const { words } = this.context;
    const rows = Object.entries(this.context.models[owner]!.numbers).map(([name, values]) => {
      const here = images.reduce((sum, i) => sum + values[i]!, 0) / images.length;
      const all = values.reduce((sum, value) => sum + value, 0) / values.length;
      return el(
        "tr",
        {},
        el("th", { scope: "row" }, words.t(`number_${name}`)),
        el("td", {}, words.short(here)),
        el("td", {}, words.short(all)),
      );
    });
    return el(
      "table",
      { class: "numbers" },
      el("caption", {}, words.t("region_means")),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("td"),
          el("th", { scope: "col" }, words.t("here")),
          el("th", { scope: "col" }, words.t("all_images")),
        ),
      ),
      el("tbody", {}, ...rows),
    );
  }

  private mean(owner: number, centre: number[]): HTMLElement | null {
    const { context } = this;
    if (!context.models[owner]!.decodes) return null;
    const cells = strip(context, owner, 96);
    cells.show([centre], () => context.words.t("region_mean"));
    return cells.element;
  }

  private csv(owner: number, images: number[]): void {
    const { context } = this;
    const model = context.models[owner]!;
    const names = Object.keys(model.numbers);
    const head = ["index", "class", ...Array.from({ length: model.latent }, (_, j) => `z${j + 1}`)];
    const lines = images.map((image) =>
      [
        context.index[image]!,
        quoted(context.className(image)),
        ...model.code(image),
        ...names.map((name) => model.numbers[name]![image]!),
      ].join(","),
    );
    const text = `${[...head, ...names].join(",")}\n${lines.join("\n")}\n`;
    save(fileName(model.document.name, "region.csv"), new Blob([text], { type: "text/csv" }));
  }
}

/** A cell of a CSV file: quoted, and never a formula of a spreadsheet. */
function quoted(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}
