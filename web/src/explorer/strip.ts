// A row of decoded codes; a click on one moves the point there.
import type { Context } from "./context";
import { el } from "./dom";
import { slowly } from "./frames";
import { Rows } from "./rows";

export interface Strip {
  readonly element: HTMLElement;
  /** Shows codes, each under its caption; what is shown already stays until it is replaced. */
  show(codes: number[][], caption: (code: number[], i: number) => string): void;
}

/** Makes a strip: of pictures of this size, or of rows of a table. */
export function strip(context: Context, run: number, size = 64, kind = "strip"): Strip {
  return context.table ? new RowStrip(context, run) : new PictureStrip(context, run, size, kind);
}

function go(context: Context, run: number, code: number[]): void {
  context.store.setRun(run, { z: [...code] });
  context.store.commit();
}

class RowStrip implements Strip {
  private readonly rows: Rows;

  constructor(
    private readonly context: Context,
    private readonly run: number,
  ) {
    this.rows = new Rows(context, "strip");
  }

  get element(): HTMLElement {
    return this.rows.element;
  }

  show(codes: number[][], caption: (code: number[], i: number) => string): void {
    const { context, run } = this;
    const model = context.models[run]!;
    const shown = codes.map((code, i) => ({
      name: caption(code, i) || String(i + 1),
      values: model.decode(code, context.state.noisy).slice(),
      press: () => go(context, run, code),
    }));
    this.rows.show(shown);
    if (!context.state.fade) return;
    codes.forEach((code, i) => this.rows.fade(i, 1 - 0.6 * model.thinness(code).fade));
  }
}

class PictureStrip implements Strip {
  readonly element: HTMLElement;
  private cells: HTMLButtonElement[] = [];
  private codes: number[][] = [];
  private next = -1;
  private left = 0;
  private readonly step = () => this.paint();

  constructor(
    private readonly context: Context,
    private readonly run: number,
    private readonly size: number,
    kind: string,
  ) {
    this.element = el("div", { class: kind });
  }

  show(codes: number[][], caption: (code: number[], i: number) => string): void {
    this.codes = codes;
    while (this.cells.length > codes.length) this.cells.pop()!.remove();
    while (this.cells.length < codes.length) this.add(this.cells.length);
    codes.forEach((code, i) => {
      const cell = this.cells[i]!;
      const text = caption(code, i);
      cell.lastElementChild!.textContent = text;
      cell.setAttribute(
        "aria-label",
        this.context.words.t("go_to", { name: text || String(i + 1) }),
      );
    });
    this.left = codes.length;
    slowly(this.step);
  }

  private add(i: number): void {
    const cell = el(
      "button",
      { type: "button", class: "cell", onclick: () => this.go(i) },
      el("canvas", { class: "picture" }),
      el("span"),
    );
    this.cells.push(cell);
    this.element.append(cell);
  }

  private go(i: number): void {
    go(this.context, this.run, this.codes[i]!);
  }

  /** Paints one of the cells that are left, in turn, so that in a long gesture each is renewed. */
  private paint(): boolean {
    if (!this.left) return false;
    this.next = (this.next + 1) % this.codes.length;
    this.paintCell(this.next);
    return --this.left > 0;
  }

  private paintCell(i: number): void {
    const { context, run } = this;
    const model = context.models[run]!;
    const canvas = this.cells[i]!.firstElementChild as HTMLCanvasElement;
    const values = model.decode(this.codes[i]!, context.state.noisy);
    context.pictures[run]!.paint(canvas, values, this.size, this.size * 0.75);
    const { fade } = context.state.fade ? model.thinness(this.codes[i]!) : { fade: 0 };
    canvas.style.opacity = String(1 - 0.8 * fade);
  }
}
