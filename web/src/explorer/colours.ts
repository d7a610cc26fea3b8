// Colours of classes and of numbers, on light and on dark paper.
import { scaleLinear } from "d3-scale";

// The counterparts on dark paper of COLOURS in src/vaelab/plots/style.py.
const ON_DARK: Record<string, string> = {
  "#d88900": "#ffb224",
  "#0014c4": "#6d8bff",
  "#00c878": "#19e08f",
  "#ff0089": "#ff5cb4",
  "#149dd8": "#45c8ff",
  "#001414": "#dfe8e8",
  "#9d27ff": "#bd7dff",
  "#276200": "#8fcb4f",
  "#f0a0f0": "#ffc9ff",
  "#760062": "#d765b5",
};
const RAMPS = {
  light: ["#a9cbe8", "#5b9bd0", "#4a5fc0", "#6a2c93", "#8a0f55", "#4b0014"],
  dark: ["#34508a", "#3f86c6", "#4fc3bd", "#a5dd84", "#f3e06b", "#fff7d6"],
};
const STEPS = 32;

export interface Palette {
  dark: boolean;
  paper: string;
  ink: string;
  quiet: string;
  line: string;
  accent: string;
  shade: string;
  edge: string;
}

/** The colours that the page has now. */
export function palette(): Palette {
  const style = getComputedStyle(document.documentElement);
  const get = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    dark: get("dark") === "1",
    paper: get("paper"),
    ink: get("ink"),
    quiet: get("quiet"),
    line: get("line"),
    accent: get("accent"),
    shade: get("shade"),
    edge: get("edge"),
  };
}

export function onPaper(colour: string, dark: boolean): string {
  return dark ? (ON_DARK[colour] ?? colour) : colour;
}

export function ramp(dark: boolean): string[] {
  const colours = RAMPS[dark ? "dark" : "light"];
  const scale = scaleLinear<string>()
    .domain(colours.map((_, i) => (i * (STEPS - 1)) / (colours.length - 1)))
    .range(colours);
  return Array.from({ length: STEPS }, (_, i) => scale(i));
}

/** How the points are coloured: a place in `styles` for each. */
export interface Colouring {
  styles: { colour: string; marker: string; name: string }[];
  of: Uint8Array;
  domain: [number, number] | null; // of a number: what the ends of the ramp stand for
}

/** Colours by a number: the ends of the ramp are the 1st and the 99th percentile. */
export function byNumber(values: Float32Array, dark: boolean): Colouring {
  const sorted = Float32Array.from(values).sort();
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
  const [low, high] = [at(0.01), at(0.99)];
  const of = Uint8Array.from(values, (value) => {
    const share = (value - low) / (high - low || 1);
    return Math.round(Math.min(1, Math.max(0, share)) * (STEPS - 1));
  });
  const styles = ramp(dark).map((colour) => ({ colour, marker: "o", name: "" }));
  return { styles, of, domain: [low, high] };
}
