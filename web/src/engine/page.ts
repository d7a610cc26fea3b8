// A page for tests: the programs of its document, under their names, as `window.programs`.
import { readPayload } from "../shared/payload";
import { Program, type ProgramSpec } from "./program";

declare global {
  interface Window {
    programs?: Record<string, Program>;
  }
}

void readPayload<Record<string, ProgramSpec>>().then((payload) => {
  window.programs = Object.fromEntries(
    Object.entries(payload.document).map(([name, spec]) => [name, new Program(spec, payload)]),
  );
});
