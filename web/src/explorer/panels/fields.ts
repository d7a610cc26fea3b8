// A row of a table that a person fills in: a field for each column, in its units and words.
import { type ColumnDocument, cellText, dateInput, dateValue } from "../../shared/cells";
import { el } from "../dom";

type Field = HTMLInputElement | HTMLSelectElement;

export class Fields {
  readonly element = el("div", { class: "fields" });
  private readonly fields: Field[];

  /**
   * @param empty - What an empty cell is called; null where no cell may be empty.
   * @param change - Called with the row while it changes, and once it has.
   */
  constructor(
    private readonly columns: ColumnDocument[],
    empty: string | null,
    change: (row: Float32Array, ended: boolean) => void,
  ) {
    this.fields = columns.map((column) => {
      const field = made(column, empty);
      for (const name of ["input", "change"]) {
        field.addEventListener(name, () => {
          const row = this.read();
          if (empty !== null || !row.includes(NaN)) change(row, name === "change");
        });
      }
      this.element.append(el("label", {}, el("span", { title: column.name }, column.name), field));
      return field;
    });
  }

  /** Whether a person is in one of the fields. */
  get busy(): boolean {
    return this.element.contains(document.activeElement);
  }

  private read(): Float32Array {
    return Float32Array.from(this.fields, ({ value }, i) => {
      const column = this.columns[i]!;
      if (value === "") return NaN;
      if (column.values.length) return Number(value);
      if (column.kind === "date") return dateValue(value, column);
      return Number(value) - column.origin;
    });
  }

  write(row: Float32Array): void {
    this.fields.forEach((field, i) => {
      const [column, value] = [this.columns[i]!, row[i]!];
      if (Number.isNaN(value)) field.value = "";
      else if (column.values.length) field.value = String(Math.round(value));
      else if (column.kind === "date") field.value = dateInput(value, column);
      else field.value = cellText(column, value, "en").replace("−", "-");
    });
  }
}

function made(column: ColumnDocument, empty: string | null): Field {
  if (column.kind === "date") return el("input", { type: "date" });
  if (!column.values.length) return el("input", { type: "number", step: "any" });
  const select = el("select", {}, empty && el("option", { value: "" }, `(${empty})`));
  column.values.forEach((name, i) => select.append(el("option", { value: i }, name)));
  return select;
}
