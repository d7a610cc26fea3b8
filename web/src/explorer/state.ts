// Everything that a person can change, as one value. Its text form is the hash of the address, and
// the steps of undo are such texts.
import type { ExplorerDocument, Lang } from "./document";

export type Mode = "move" | "pan" | "lasso" | "path";
export const MODES: Mode[] = ["move", "pan", "lasso", "path"];
export type Tab = "region" | "image" | "path" | "samples" | "directions" | "about";
export const TABS: Tab[] = ["image", "region", "path", "samples", "directions", "about"];
export type Point = [number, number];

export interface RunState {
  z: number[];
  axes: string; // "0,1" or "pca"
  view: { x: number; y: number; k: number } | null; // null: everything in sight
  lasso: Point[];
  a: number[];
  b: number[];
}

export interface State {
  runs: RunState[];
  active: number;
  image: number; // the selected test image; -1: none; -2: the drawn one
  drawn: string;
  mode: Mode;
  tab: Tab;
  colour: string;
  map: boolean; // the plane decoded, below the points
  fade: boolean;
  noisy: boolean; // samples of p(x|z) in place of its mean
  curved: boolean; // interpolation along a great circle
  page: number; // of the samples
  from: number; // classes of a direction; -1: all, -2: the region
  to: number;
  strength: number;
  label: number; // the class that a conditional model decodes
  lang: Lang;
  theme: string; // "", "light" or "dark"
  large: boolean;
}

/** What a selected test image brings with it: in every run its code, and its class. */
export type Home = (image: number, runs: RunState[]) => Pick<State, "runs" | "label">;

const KEYS = ["z", "axes", "view", "lasso", "a", "b"] as const;

function short(value: number): string {
  return String(Number(value.toPrecision(5)));
}

function numbers(text: string): number[] {
  const found = text.split(",").map(Number);
  return text && found.every(Number.isFinite) ? found : [];
}

function writeRun(run: RunState): Record<(typeof KEYS)[number], string> {
  const list = (values: number[]) => values.map(short).join(",");
  const { view } = run;
  return {
    z: list(run.z),
    axes: run.axes,
    view: view ? list([view.x, view.y, view.k]) : "",
    lasso: list(run.lasso.flat()),
    a: list(run.a),
    b: list(run.b),
  };
}

/** What a state is compared with in its text form: the first one, with the same selected image. */
function base(image: number, initial: State, home: Home): State {
  return image < 0 ? initial : { ...initial, ...home(image, initial.runs) };
}

/** The state as the hash of an address; only what differs from the first one is written. */
export function write(state: State, first: State, home: Home): string {
  const fields = new URLSearchParams();
  const initial = base(state.image, first, home);
  state.runs.forEach((run, r) => {
    const [now, before] = [writeRun(run), writeRun(initial.runs[r]!)];
    for (const key of KEYS) if (now[key] !== before[key]) fields.set(`${key}${r + 1}`, now[key]);
  });
  for (const key of Object.keys(initial) as (keyof State)[]) {
    if (key !== "runs" && state[key] !== initial[key]) {
      const value = state[key] as string | number | boolean;
      fields.set(key, typeof value === "string" ? value : short(Number(value)));
    }
  }
  return fields.toString().replaceAll("%2C", ",");
}

/** The state that a hash describes; whatever in it is not valid is left as in `initial`. */
export function read(hash: string, first: State, document: ExplorerDocument, home: Home): State {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const chosen = Number(fields.get("image") ?? Number.NaN);
  const count = document.data.index.shape[0]!;
  const valid = Number.isInteger(chosen) && chosen >= -2 && chosen < count;
  const image = valid ? chosen : first.image;
  const initial = base(image, first, home);
  const state: State = { ...initial, image };
  state.runs = initial.runs.map((before, r) => readRun(before, r, fields));
  const classes = document.data.classes.length;
  const choose = (key: string, allowed: readonly string[], fallback: string) =>
    allowed.includes(fields.get(key) ?? "") ? fields.get(key)! : fallback;
  const whole = (key: string, low: number, high: number, fallback: number) => {
    const value = Number(fields.get(key) ?? Number.NaN);
    return Number.isInteger(value) && value >= low && value < high ? value : fallback;
  };
  const flag = (key: string, fallback: boolean) =>
    fields.has(key) ? fields.get(key) === "1" : fallback;
  state.active = whole("active", 0, initial.runs.length, initial.active);
  state.drawn = fields.get("drawn") ?? initial.drawn;
  state.mode = choose("mode", MODES, initial.mode) as Mode;
  state.tab = choose("tab", TABS, initial.tab) as Tab;
  state.colour = fields.get("colour") ?? initial.colour;
  state.map = flag("map", initial.map);
  state.fade = flag("fade", initial.fade);
  state.noisy = flag("noisy", initial.noisy);
  state.curved = flag("curved", initial.curved);
  state.page = whole("page", 0, 1e6, initial.page);
  state.from = whole("from", -2, classes, initial.from);
  state.to = whole("to", -2, classes, initial.to);
  state.label = whole("label", 0, classes, initial.label);
  const strength = Number(fields.get("strength") ?? Number.NaN);
  if (Math.abs(strength) <= 5) state.strength = strength;
  state.lang = choose("lang", ["en", "pt"], initial.lang) as Lang;
  state.theme = choose("theme", ["light", "dark"], initial.theme);
  state.large = flag("large", initial.large);
  return state;
}

function readRun(before: RunState, r: number, fields: URLSearchParams): RunState {
  const width = before.z.length;
  const list = (key: string) => numbers(fields.get(`${key}${r + 1}`) ?? "");
  const code = (key: string, fallback: number[]) =>
    list(key).length === width ? list(key) : fallback;
  const axes = fields.get(`axes${r + 1}`) ?? "";
  const [first, second] = numbers(axes);
  const fits =
    (axes === "pca" && width > 2) ||
    (first !== undefined &&
      second !== undefined &&
      first !== second &&
      [first, second].every((j) => Number.isInteger(j) && j >= 0 && j < width));
  const view = list("view");
  const flat = list("lasso");
  return {
    z: code("z", before.z),
    axes: fits ? axes : before.axes,
    view:
      view.length === 3 && view[2]! > 0 ? { x: view[0]!, y: view[1]!, k: view[2]! } : before.view,
    lasso: Array.from({ length: flat.length >> 1 }, (_, i) => [flat[2 * i]!, flat[2 * i + 1]!]),
    a: code("a", []),
    b: code("b", []),
  };
}

type Listener = (state: State) => void;

/** The current state, who listens to it, and its earlier values. */
export class Store {
  private listeners: Listener[] = [];
  private past: string[] = [];
  private future: string[] = [];
  private kept: string;
  state: State;

  constructor(
    private readonly initial: State,
    private readonly document: ExplorerDocument,
    readonly home: Home,
  ) {
    this.state = read(location.hash, initial, document, home);
    this.kept = this.text();
    addEventListener("hashchange", () => this.restore(location.hash.slice(1)));
  }

  listen(listener: Listener): void {
    this.listeners.push(listener);
  }

  /** Forgets all listeners: the page is about to be built again. */
  clear(): void {
    this.listeners = [];
  }

  /** Changes the state during a gesture: everything follows, and no step of undo is made. */
  set(patch: Partial<State>): void {
    this.state = { ...this.state, ...patch };
    for (const listener of this.listeners) listener(this.state);
  }

  setRun(r: number, patch: Partial<RunState>, others: Partial<State> = {}): void {
    const runs = this.state.runs.map((run, i) => (i === r ? { ...run, ...patch } : run));
    this.set({ runs, active: r, ...others });
  }

  /** Ends a gesture: the address holds the state, and undo returns to the one before. */
  commit(patch: Partial<State> = {}): void {
    if (Object.keys(patch).length) this.set(patch);
    const text = this.text();
    if (text === this.kept) return;
    this.past.push(this.kept);
    if (this.past.length > 500) this.past.shift();
    this.future = [];
    this.keep(text);
  }

  get undoable(): boolean {
    return this.past.length > 0;
  }

  get redoable(): boolean {
    return this.future.length > 0;
  }

  undo(): void {
    this.step(this.past, this.future);
  }

  redo(): void {
    this.step(this.future, this.past);
  }

  reset(): void {
    const { lang, theme, large } = this.state;
    const first = read("", this.initial, this.document, this.home);
    this.commit({ ...first, lang, theme, large });
  }

  private step(from: string[], to: string[]): void {
    const text = from.pop();
    if (text === undefined) return;
    to.push(this.kept);
    this.keep(text);
    this.restore(text);
  }

  private restore(text: string): void {
    if (text !== this.text()) this.set(read(text, this.initial, this.document, this.home));
    this.kept = this.text();
  }

  private text(): string {
    return write(this.state, this.initial, this.home);
  }

  private keep(text: string): void {
    this.kept = text;
    try {
      history.replaceState(null, "", `#${text}`);
    } catch {
      // a page inside a notebook has no address of its own
    }
    for (const listener of this.listeners) listener(this.state);
  }
}
