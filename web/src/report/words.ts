// The texts of the catalogue and numbers, as the language of the page writes them.
import type { Report } from "./document";

export interface Words {
  /** A text with its {slots} filled. */
  t(key: string, slots?: Record<string, string | number>): string;
  /** A number with a fixed count of decimals. */
  number(value: number, digits: number): string;
  /** A tick of an axis. */
  tick(value: number): string;
}

export function wordsOf(report: Report): Words {
  const texts = report.texts[report.lang];
  const written = (text: string): string =>
    (report.lang === "pt" ? text.replace(".", ",") : text).replace("-", "−");
  return {
    t: (key, slots = {}) =>
      (texts[key] ?? key).replace(/\{(\w+)\}/g, (slot, name: string) =>
        String(slots[name] ?? slot),
      ),
    number: (value, digits) => written(value.toFixed(digits)),
    tick: (value) => written(String(Number(value.toPrecision(10)))),
  };
}

/** How many decimals tell values apart whose range is `span`. */
export function digitsOf(span: number): number {
  return Math.min(4, Math.max(1, 2 - Math.floor(Math.log10(span || 1))));
}
