// The script of the report: it makes what stands on the page already react.
import { readPayload } from "../shared/payload";
import { copying, downloading } from "./copy";
import { Curves } from "./curves";
import type { Report } from "./document";
import { play } from "./frames";
import { Scatter } from "./scatter";
import { sortable } from "./table";
import { wordsOf } from "./words";

async function main(): Promise<void> {
  const payload = await readPayload<Report>();
  const report = payload.document;
  const words = wordsOf(report);
  const find = <T extends HTMLElement>(selector: string): T | null =>
    document.querySelector<T>(selector);
  document.documentElement.classList.add("scripted");

  const charts = find("#charts");
  if (charts && report.charts?.length) new Curves(charts, report.charts, words);
  const evolution = find(".evolution");
  if (evolution && report.frames?.length) play(evolution, report.frames, words);
  const plane = find("#scatter");
  if (plane && report.latent) new Scatter(plane, payload, report.latent, words);
  const copy = find(".copy");
  if (copy && report.copies) copying(copy, report.copies, words);
  const download = find("[data-download]");
  if (download) downloading(download, report.data, report.name);
  const table = find<HTMLTableElement>("table.sortable");
  if (table) sortable(table);
}

void main();
