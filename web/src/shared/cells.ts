// Cells of a table: the number that a model takes or gives for a cell, as text in the user's units.

/** A column of a table, as src/vaelab/report/cells.py writes it. */
export interface ColumnDocument {
  name: string;
  kind: string;
  values: string[]; // the categories, by index; [] for numbers
  origin: number; // subtracted from its numbers
  decimals: number; // digits behind the point, -1 where any number
  format: string; // of dates: "iso" or as for strftime
}

const DIGITS = 5; // of a number of any precision
const DAY = 86_400_000; // milliseconds

/** The text of a cell; "" where it is empty. */
export function cellText(column: ColumnDocument, value: number, lang: string): string {
  if (Number.isNaN(value)) return "";
  if (column.values.length) return column.values[Math.round(value)] ?? "";
  const number = value + column.origin;
  if (column.kind === "date") return dateText(number, column);
  const { decimals } = column;
  const text = decimals < 0 ? String(Number(number.toPrecision(DIGITS))) : number.toFixed(decimals);
  const signed = Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
  return lang === "pt" ? signed.replace(".", ",") : signed;
}

/** A number of days since 1970 as its column writes dates; whole days have no time. */
function dateText(days: number, column: ColumnDocument): string {
  const whole = column.decimals === 0 || Math.abs(days - Math.round(days)) * DAY < 500;
  const moment = new Date(Math.round(whole ? Math.round(days) * DAY : days * DAY));
  if (Number.isNaN(moment.getTime())) return "";
  const iso = moment.toISOString(); // 2024-02-29T12:30:00.000Z
  if (column.format === "iso") return whole ? iso.slice(0, 10) : iso.slice(0, 19);
  const parts: Record<string, string> = {
    Y: iso.slice(0, 4),
    m: iso.slice(5, 7),
    d: iso.slice(8, 10),
    H: iso.slice(11, 13),
    M: iso.slice(14, 16),
    S: iso.slice(17, 19),
  };
  return column.format.replace(/%(\w)/g, (_, part: string) => parts[part] ?? "");
}

/** The number of a date in the text of an input of type date, as a model takes it. */
export function dateValue(text: string, column: ColumnDocument): number {
  return text ? Date.parse(`${text}T00:00:00Z`) / DAY - column.origin : NaN;
}

/** The text that an input of type date takes. */
export function dateInput(value: number, column: ColumnDocument): string {
  return dateText(value + column.origin, { ...column, decimals: 0, format: "iso" });
}
