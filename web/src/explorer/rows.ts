// Rows of a table side by side: a line for each column, a column for each row.
import { cellText } from "../shared/cells";
import type { Context } from "./context";
import { el } from "./dom";

/** A row, what it is called, and what a press on its name does. */
export interface Shown {
  name: string;
  values: Float32Array;
  press?: () => void;
  enter?: () => void;
}

export class Rows {
  readonly element: HTMLElement;
  private readonly table = el("table", { class: "cells" });
  private readonly head = el("tr");
  private readonly lines: HTMLTableRowElement[] = [];
  private cells: HTMLTableCellElement[][] = []; // by row, then by column
  private names: HTMLElement[] = [];

  /**
   * @param most - The number of columns of the data that are shown.
   */
  constructor(
    private readonly context: Context,
    kind = "",
    most = Infinity,
  ) {
    const body = el("tbody");
    for (const { name } of context.document.data.columns.slice(0, most)) {
      const line = el("tr", {}, el("th", { scope: "row", title: name }, name));
      this.lines.push(line);
      body.append(line);
    }
    this.table.append(el("thead", {}, this.head), body);
    this.head.append(el("td"));
    this.element = el("div", { class: `rows-of ${kind}` }, this.table);
  }

  /** Shows rows; where there is an original, the cells that differ from it are marked. */
  show(rows: Shown[], original: Float32Array | null = null): void {
    this.resize(rows);
    const { columns } = this.context.document.data;
    rows.forEach(({ values }, i) => {
      this.cells[i]!.forEach((cell, j) => {
        const text = cellText(columns[j]!, values[j]!, this.context.words.lang);
        const empty = Number.isNaN(values[j]!);
        if (cell.textContent !== text) cell.textContent = text;
        cell.className = empty ? "empty" : original ? this.state(j, values, original) : "";
        if (empty) cell.setAttribute("aria-label", this.context.words.t("empty_cell"));
        else cell.removeAttribute("aria-label");
      });
    });
  }

  private state(j: number, values: Float32Array, original: Float32Array): string {
    if (values === original) return "";
    if (Number.isNaN(original[j]!)) return "filled";
    const { values: words } = this.context.document.data.columns[j]!;
    return words.length && Math.round(values[j]!) !== original[j] ? "missed" : "";
  }

  /** How clearly the cells of a row are shown, from 0 to 1. */
  fade(row: number, strength: number): void {
    for (const cell of this.cells[row] ?? []) cell.style.opacity = String(strength);
  }

  /** Makes as many cells as there are rows; those that stay keep their elements. */
  private resize(rows: Shown[]): void {
    while (this.cells.length > rows.length) {
      for (const cell of this.cells.pop()!) cell.remove();
      this.names.pop()!.remove();
    }
    while (this.cells.length < rows.length) {
      const name = el("th", { scope: "col" });
      this.head.append(name);
      this.names.push(name);
      this.cells.push(this.lines.map((line) => line.appendChild(el("td"))));
    }
    rows.forEach((row, i) => this.title(this.names[i]!, row));
  }

  private title(place: HTMLElement, { name, press, enter }: Shown): void {
    if (!press) {
      if (place.textContent !== name) place.textContent = name;
      return;
    }
    let made = place.firstElementChild as HTMLButtonElement | null;
    if (!made) place.append((made = el("button", { type: "button" })));
    if (made.textContent !== name) made.textContent = name;
    made.onclick = press;
    made.onpointerenter = enter ?? null;
  }
}
