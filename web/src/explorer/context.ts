// What all parts of the page share.
import type { Payload } from "../shared/payload";
import { type Colouring, type Palette, byNumber, onPaper, palette } from "./colours";
import type { ExplorerDocument } from "./document";
import { Pictures } from "./images";
import type { Model } from "./model";
import type { Point, State, Store } from "./state";
import { Words } from "./words";

export const DRAWN = -2; // the selected image is the drawn one
export const NONE = -1;

/** The image that the page compares its decoded one with. */
export interface Subject {
  values: Float32Array | null; // null where the page does not hold it whole
  image: number; // of the test images, or DRAWN
}

export class Context {
  words: Words;
  colours: Palette = palette();
  readonly pictures: Pictures[];
  readonly labels: Int16Array | null;
  readonly index: Float32Array;
  readonly factors: Record<string, Float32Array>;
  drawn: Float32Array | null = null; // as the model sees it
  strokes = 0; // how often it was changed
  drawnText = ""; // its text form, as the state has it
  worn = ""; // the language, colours and size that the page has now
  hovered = NONE; // the test image under the pointer, in any plane
  onHover: (image: number, run: number) => void = () => {};
  announce: (text: string) => void = () => {};

  constructor(
    readonly document: ExplorerDocument,
    readonly payload: Payload<ExplorerDocument>,
    readonly store: Store,
    readonly models: Model[],
  ) {
    const { data, runs } = document;
    this.words = new Words(document.texts, store.state.lang, data.form);
    this.pictures = runs.map((run) => new Pictures(data, run, payload, this.colours));
    this.labels = data.labels && (payload.raw(data.labels) as Int16Array);
    this.index = payload.floats(data.index);
    this.factors = Object.fromEntries(
      Object.entries(data.factors).map(([name, ref]) => [name, payload.floats(ref)]),
    );
  }

  /** Whether the data are a table, whose rows are lists and not pictures. */
  get table(): boolean {
    return this.document.data.form === "table";
  }

  get state(): State {
    return this.store.state;
  }

  get model(): Model {
    return this.models[this.state.active]!;
  }

  /** Whether the page can encode a row that is not a test image. */
  get encodes(): boolean {
    return this.models.some((model) => model.can("encode")) && this.pictures[0]!.whole;
  }

  get count(): number {
    return this.index.length;
  }

  /** The name of the class of a test image, "" without one. */
  className(image: number): string {
    const place = this.labels?.[image] ?? -1;
    return this.document.data.classes[place]?.name ?? "";
  }

  /** What a test image is called: its number in the data and its class. */
  title(image: number): string {
    if (image === DRAWN) return this.words.t("drawn_image");
    const name = this.className(image);
    const values = { index: String(this.index[image]!), name };
    return this.words.t(name ? "image_of_class" : "image_number", values);
  }

  subject(run: number): Subject | null {
    const { image } = this.state;
    if (image === DRAWN) return this.drawn && { values: this.drawn, image };
    if (image === NONE) return null;
    const pictures = this.pictures[run]!;
    return { values: pictures.whole ? pictures.values(image) : null, image };
  }

  /** Selects a test image: in every run the point goes to its code, in all dimensions. */
  select(image: number, active = this.state.active): void {
    this.store.commit({ ...this.store.home(image, this.state.runs), image, active });
  }

  /** The test image whose code is nearest, in all dimensions. */
  nearestCode(run: number, z: number[]): number {
    const { mean, latent, count } = this.models[run]!;
    let [best, least] = [0, Infinity];
    for (let i = 0; i < count; i++) {
      let square = 0;
      for (let j = 0; j < latent && square < least; j++) {
        square += (mean[j * count + i]! - z[j]!) ** 2;
      }
      if (square < least) [best, least] = [i, square];
    }
    return best;
  }

  /** What the points can be coloured by: keys with their names. */
  colourings(run: number): [string, string][] {
    const { words } = this;
    const options: [string, string][] = [];
    if (this.document.data.classes.length) options.push(["class", words.t("class")]);
    for (const name of Object.keys(this.models[run]!.numbers)) {
      options.push([name, words.t(`number_${name}`)]);
    }
    for (const name of Object.keys(this.factors)) options.push([`factor:${name}`, name]);
    options.push(["none", words.t("one_colour")]);
    return options;
  }

  colouring(run: number, key: string): Colouring {
    const { dark } = this.colours;
    const values = this.models[run]!.numbers[key] ?? this.factors[key.replace(/^factor:/, "")];
    if (values) return byNumber(values, dark);
    const plain = { colour: onPaper("#0014c4", dark), marker: "o", name: "" };
    if (key !== "class" || !this.labels) {
      return { styles: [plain], of: new Uint8Array(this.count), domain: null };
    }
    const { classes } = this.document.data;
    const styles = classes.map(({ colour, marker, name }) => ({
      colour: onPaper(colour, dark),
      marker,
      name,
    }));
    styles.push({ colour: dark ? "#7b838d" : "#b0b0b0", marker: "o", name: "" });
    const of = Uint8Array.from(this.labels, (place) => (place < 0 ? classes.length : place));
    return { styles, of, domain: null };
  }

  /** The test images whose codes lie in a polygon of the plane. */
  within(run: number, polygon: Point[]): number[] {
    if (polygon.length < 3) return [];
    const [xs, ys] = this.models[run]!.places(this.state.runs[run]!.axes);
    const found: number[] = [];
    for (let i = 0; i < xs.length; i++) if (inside(polygon, xs[i]!, ys[i]!)) found.push(i);
    return found;
  }
}

function inside(polygon: Point[], x: number, y: number): boolean {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [[ax, ay], [bx, by]] = [polygon[i]!, polygon[j]!];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}
