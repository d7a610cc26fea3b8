// What a report carries for its script; src/vaelab/report/run_page.py and its neighbours write it.
import type { ColumnDocument } from "../shared/cells";
import type { Ref } from "../shared/payload";

export type Lang = "en" | "pt";

export interface Series {
  name: string;
  style: string;
  values: (number | null)[];
  dashed: boolean;
}

export interface Chart {
  title: string;
  unit: string;
  series: Series[];
}

export interface Frame {
  epoch: number;
  src: string;
}

export interface ClassOf {
  name: string;
  light: string;
  dark: string;
  marker: number;
}

export interface Latent {
  points: Ref; // (2, N)
  classes: Ref; // (N,), the place of the class in `named`
  index: Ref; // (N,), the number of the test image
  named: ClassOf[];
  axes: [string, string];
  circles: number[]; // radii
  images: Ref | null; // (N, H, W, 1 or 3)
  values: Ref | null; // (N, D), of a table
  columns: ColumnDocument[]; // of a table
}

export interface Report {
  kind: "run" | "runs" | "index";
  name: string;
  lang: Lang;
  texts: Record<Lang, Record<string, string>>;
  charts?: Chart[];
  frames?: Frame[];
  copies?: Record<string, string>;
  data?: unknown;
  latent?: Latent | null;
}
