// A row of decoded codes; a click on one moves the point there.
import type { Context } from "./context";
import { el } from "./dom";

const BUDGET = 6; // ms of decoding before the browser gets a turn

export class Strip {
  readonly element: HTMLElement;
  private cells: HTMLButtonElement[] = [];
  private codes: number[][] = [];
  private next = -1;
  private left = 0;
  private running = false;

  constructor(
    private readonly context: Context,
    private readonly run: number,
    private readonly size = 64,
    kind = "strip",
  ) {
    this.element = el("div", { class: kind });
  }

  /** Shows codes, each under its caption; what is painted already stays until it is replaced. */
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
    if (!this.running) requestAnimationFrame(() => this.paint());
    this.running = true; // after the picture of the point itself
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
    this.context.store.setRun(this.run, { z: [...this.codes[i]!] });
    this.context.store.commit();
  }

  /** Paints the cells that are left, in turn, so that in a long gesture each is renewed. */
  private paint(): void {
    const start = performance.now();
    while (this.left > 0) {
      this.next = (this.next + 1) % this.codes.length;
      this.paintCell(this.next);
      this.left--;
      if (performance.now() - start > BUDGET) break;
    }
    this.running = this.left > 0;
    if (this.running) requestAnimationFrame(() => this.paint());
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
