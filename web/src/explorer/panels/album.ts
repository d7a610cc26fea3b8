// Pictures or rows that Python decoded when the page was written, where the page cannot decode.
import type { Context } from "../context";
import type { Album } from "../document";
import { copy, el } from "../dom";
import { Rows } from "../rows";

/** What is in an album of the active run under their names, and the sentence that says it. */
export function album(context: Context, from: Album, names: string[]): HTMLElement[] {
  const pictures = context.pictures[context.state.active]!;
  const python = el("p", { class: "quiet" }, context.words.t("by_python"));
  if (context.table) {
    const rows = new Rows(context, "strip");
    rows.show(
      names.map((name, i) => ({ name: name || String(i + 1), values: pictures.values(i, from) })),
    );
    return [rows.element, python];
  }
  const cells = names.map((name, i) => {
    const canvas = el("canvas", { class: "picture", role: "img" });
    canvas.setAttribute("aria-label", name || `${i + 1}`);
    copy(canvas, pictures.tile(i, from));
    return el("div", { class: "cell" }, canvas, el("span", {}, name));
  });
  return [el("div", { class: "grid" }, ...cells), python];
}
