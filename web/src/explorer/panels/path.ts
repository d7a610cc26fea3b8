// The interpolation between two codes: a strip, a walk of the point, a PNG and a GIF.
import type { Context } from "../context";
import { button, check, el, fileName, save } from "../dom";
import { animation, sheet } from "../export";
import type { State } from "../state";
import { strip } from "../strip";
import { type Panel, whenChanged } from "./panel";

const CELLS = 11;
const FRAMES = 30; // of the animation, one way
const SECONDS = 3; // of a walk of the point

export class PathPanel implements Panel {
  readonly element = el("div", { class: "panel path" });
  private readonly refresh = whenChanged(() => this.build());
  private walk = 0;

  constructor(private readonly context: Context) {}

  offered(): boolean {
    return this.context.model.decodes;
  }

  update(state: State): void {
    const { a, b } = state.runs[state.active]!;
    this.refresh(a, b, state.curved, state.active, state.noisy, state.fade);
  }

  private build(): void {
    const { context } = this;
    const { words, store, state, model } = context;
    const run = state.active;
    const { a, b, z } = state.runs[run]!;
    const set = (name: "a" | "b") =>
      button(words.t("set_end", { name: name.toUpperCase() }), () => {
        store.setRun(run, { [name]: [...context.state.runs[run]!.z] });
        store.commit();
      });
    const buttons = el("div", { class: "buttons" }, set("a"), set("b"));
    const parts: Node[] = [el("p", {}, words.t("path_about")), buttons];
    if (a.length && b.length && z.length) {
      const cells = strip(context, run, 96, "strip wide");
      cells.show(model.between(a, b, CELLS, state.curved), (_, i) =>
        i === 0 ? "A" : i === CELLS - 1 ? "B" : "",
      );
      parts.unshift(cells.element);
      buttons.append(
        button(words.t("walk"), () => this.play(run)),
        ...(context.table
          ? []
          : [
              button(words.t("save_png"), () => void this.png(run)),
              button(words.t("save_gif"), () => this.gif(run)),
            ]),
        button(words.t("swap"), () => {
          store.setRun(run, { a: b, b: a });
          store.commit();
        }),
        button(words.t("clear"), () => {
          store.setRun(run, { a: [], b: [] });
          store.commit();
        }),
        check(words.t("curved"), state.curved, (curved) => store.commit({ curved })),
      );
    }
    this.element.replaceChildren(...parts);
  }

  /** Moves the point from A to B. */
  private play(run: number): void {
    const { context } = this;
    const { a, b } = context.state.runs[run]!;
    const codes = context.models[run]!.between(a, b, 181, context.state.curved);
    const start = performance.now();
    cancelAnimationFrame(this.walk);
    const step = (now: number) => {
      const share = Math.min(1, Math.max(0, (now - start) / (1000 * SECONDS)));
      context.store.setRun(run, { z: [...codes[Math.round(share * 180)]!] });
      if (share < 1) this.walk = requestAnimationFrame(step);
      else context.store.commit();
    };
    this.walk = requestAnimationFrame(step);
  }

  private pictures(run: number, count: number): HTMLCanvasElement[] {
    const { context } = this;
    const { a, b } = context.state.runs[run]!;
    const model = context.models[run]!;
    return model.between(a, b, count, context.state.curved).map((code) => {
      const canvas = el("canvas");
      context.pictures[run]!.paint(canvas, model.decode(code, context.state.noisy), 160, 120);
      return canvas;
    });
  }

  private async png(run: number): Promise<void> {
    const blob = await sheet(this.pictures(run, CELLS), this.context.colours.paper);
    save(fileName(this.context.models[run]!.document.name, "interpolation.png"), blob);
  }

  private gif(run: number): void {
    const bytes = animation(this.pictures(run, FRAMES));
    const blob = new Blob([bytes as BlobPart], { type: "image/gif" });
    save(fileName(this.context.models[run]!.document.name, "interpolation.gif"), blob);
  }
}
