// The texts of the page in its language, and numbers as the language writes them.
import type { ExplorerDocument, Form, Lang } from "./document";

/** What a text calls an image where the data are no images; of the same gender in Portuguese. */
const NOUNS: Record<"signal" | "table", Record<Lang, [one: string, many: string]>> = {
  table: { en: ["row", "rows"], pt: ["linha", "linhas"] },
  signal: { en: ["series", "series"], pt: ["série", "séries"] },
};

export class Words {
  private readonly decimals = new Map<number, Intl.NumberFormat>();

  constructor(
    private readonly texts: ExplorerDocument["texts"],
    readonly lang: Lang,
    private readonly form: Form,
  ) {}

  /** The text of a key with its {slots} filled. */
  t(key: string, values: Record<string, string | number> = {}): string {
    const text = this.texts[this.lang][key];
    if (text === undefined) throw new Error(`no text for ${key}`);
    return this.named(text).replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name];
      return typeof value === "number" ? this.whole(value) : (value ?? "");
    });
  }

  private named(text: string): string {
    if (this.form === "image") return text;
    const [one, many] = NOUNS[this.form][this.lang];
    const like = (word: string) => (found: string) =>
      /^[AI]/.test(found) ? word.charAt(0).toUpperCase() + word.slice(1) : word;
    return text
      .replace(/\b(images|imagens)\b/gi, like(many))
      .replace(/\ban image\b/gi, like(`a ${one}`))
      .replace(/\b(image|imagem)\b/gi, like(one));
  }

  /** A number with a fixed count of decimals. */
  number(value: number, digits = 2): string {
    let format = this.decimals.get(digits);
    if (!format) {
      format = new Intl.NumberFormat(this.lang === "pt" ? "pt-BR" : "en", {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      });
      this.decimals.set(digits, format);
    }
    const rounded = Math.abs(value) < 0.5 * 10 ** -digits ? 0 : value;
    return format.format(rounded).replace("-", "−");
  }

  whole(value: number): string {
    return this.number(value, 0);
  }

  /** A number with about three significant digits. */
  short(value: number): string {
    const size = Math.abs(value);
    return this.number(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
  }

  nats(value: number): string {
    return this.t("nats", { value: this.short(value) });
  }

  /** The name of a dimension, from 0: z₁, z₂, ... */
  z(dimension: number): string {
    return `z${[...String(dimension + 1)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]).join("")}`;
  }

  code(z: ArrayLike<number>): string {
    const shown = Array.from({ length: Math.min(z.length, 6) }, (_, j) => this.number(z[j]!));
    const comma = this.lang === "pt" ? "; " : ", "; // Portuguese has a decimal comma
    return `(${[...shown, ...(z.length > 6 ? ["…"] : [])].join(comma)})`;
  }
}
