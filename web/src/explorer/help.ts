// The overlay that explains the page and its keys.
import type { Context } from "./context";
import { button, el } from "./dom";

const KEYS = [
  ["← ↑ ↓ →", "key_arrows"],
  ["+ −  0", "key_zoom"],
  ["Enter", "key_enter"],
  ["Esc", "key_escape"],
  ["M P L I", "key_modes"],
  ["Ctrl+Z", "key_undo"],
  ["Ctrl+Shift+Z", "key_redo"],
  ["?", "key_help"],
] as const;
const TIPS = ["tip_drag", "tip_click", "tip_zoom", "tip_lasso", "tip_dim", "tip_link"] as const;
const DECODED = new Set<string>(["tip_drag", "tip_dim"]); // those of pages that decode

export class Help {
  readonly element: HTMLDialogElement;

  constructor({ words, models }: Context) {
    const decodes = models.some((model) => model.decodes);
    const tips = TIPS.filter((tip) => decodes || !DECODED.has(tip));
    const keys = el("dl", { class: "keys" });
    for (const [key, text] of KEYS) {
      keys.append(el("dt", {}, el("kbd", {}, key)), el("dd", {}, words.t(text)));
    }
    this.element = el(
      "dialog",
      { class: "help", "aria-label": words.t("help") },
      el("h2", {}, words.t("help")),
      el("ul", {}, ...tips.map((tip) => el("li", {}, words.t(tip)))),
      el("h3", {}, words.t("keys")),
      keys,
      el(
        "form",
        { method: "dialog" },
        button(words.t("close"), () => this.element.close()),
      ),
    );
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close(); // on the shade around it
    });
  }

  toggle(): void {
    if (this.element.open) this.element.close();
    else this.element.showModal();
  }
}
