// Copies the numbers as Markdown, LaTeX or CSV, and hands out the data of the page as a file.
import type { Words } from "./words";

export function copying(root: HTMLElement, texts: Record<string, string>, words: Words): void {
  const status = root.querySelector<HTMLElement>("[role=status]")!;
  const field = root.querySelector<HTMLTextAreaElement>("textarea")!;
  for (const button of root.querySelectorAll<HTMLElement>("[data-copy]")) {
    button.addEventListener("click", () => {
      void copy(texts[button.dataset["copy"]!] ?? "", field).then((done) => {
        status.textContent = words.t(done ? "copied" : "copy_by_hand");
      });
    });
  }
}

/** Copies a text; where the browser forbids it, shows it selected. */
async function copy(text: string, field: HTMLTextAreaElement): Promise<boolean> {
  field.value = text;
  try {
    await navigator.clipboard.writeText(text);
    field.hidden = true;
    return true;
  } catch {
    field.hidden = false;
    field.focus();
    field.select();
    return false;
  }
}

export function downloading(button: HTMLElement, data: unknown, name: string): void {
  button.addEventListener("click", () => {
    const blob = new Blob([JSON.stringify(data, null, 2)], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name.replace(/[^\p{L}\p{N}_.-]+/gu, "-")}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}
