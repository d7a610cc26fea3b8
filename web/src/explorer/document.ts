// The document of an explorer page, as src/vaelab/report/explorer.py writes it.
import type { ColumnDocument } from "../shared/cells";
import type { Ref } from "../shared/payload";
import type { ProgramSpec } from "../engine/program";

export type Lang = "en" | "pt";
export type Form = "image" | "signal" | "table";

export interface ClassDocument {
  label: number;
  name: string;
  colour: string;
  marker: string; // "o", "^" or "s"
}

export interface DataDocument {
  name: string;
  form: Form;
  shape: number[];
  columns: ColumnDocument[]; // of a table
  holes: boolean; // whether cells may be empty
  split: string;
  total: number;
  index: Ref; // (N,), the place of each image in its split
  labels: Ref | null; // (N,), places in `classes`, or -1
  classes: ClassDocument[];
  factors: Record<string, Ref>;
}

export type ProgramName = "encode" | "decode" | "distortion" | "rates";

/** Pictures that Python decoded. */
export interface StoredDocument {
  which: number[]; // (M,), the test images whose reconstructions there are
  reconstructions: Ref;
  samples: Ref | null; // of the prior
  classes: number[]; // places in `classes` of the data, of the means
  means: Ref | null; // the mean codes of these classes, decoded
}

/** What pictures are of: test images, or what is in a `StoredDocument`. */
export type Album = "images" | "reconstructions" | "samples" | "means";

export interface RunDocument {
  name: string;
  folder: string;
  about: Record<Lang, string>;
  recipe: string;
  parameters: number;
  latent: number;
  space: string; // "reals", "sphere", "codes", "classes", "levels"
  point: boolean; // an autoencoder: the posterior is a point
  prior: string;
  likelihood: string;
  noise: "bernoulli" | "gaussian" | null; // how the page samples p(x|z)
  given: number[] | null; // of a conditional model: what it takes for each of the classes
  display: [number, number];
  levels: number; // values of a pixel; 0: unknown
  binary: boolean;
  images: { values: Ref; whole: boolean };
  mean: Ref; // (L, N)
  std: Ref | null; // (L, N)
  numbers: Record<string, Ref>; // (N,) each
  dimensions: { kl: number[] | null; active: boolean[]; centre: number[]; spread: number[] };
  pca: { axes: Ref; shares: number[] } | null; // (2, L)
  cloud: Ref; // (L, M), samples of the aggregate posterior
  quantiles: [number, number]; // of the distance to the 5th neighbour in the cloud
  samples: Ref | null; // (L, S), from the prior
  stored: StoredDocument | null; // where the page cannot decode
  programs: Partial<Record<ProgramName, ProgramSpec>>;
  missing: Partial<Record<ProgramName, Record<Lang, string>>>;
}

export interface ExplorerDocument {
  lang: Lang;
  texts: Record<Lang, Record<string, string>>;
  version: string;
  data: DataDocument;
  runs: RunDocument[];
}
