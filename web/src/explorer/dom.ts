// Elements without a framework. Text from runs reaches the page only as text nodes and attributes.

type Value = string | number | boolean | ((event: never) => void) | undefined;
export type Child = Node | string | null;

/** Makes an element; `on...` properties are listeners, true and false set or omit an attribute. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), value as EventListener);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

export function button(
  label: string,
  press: (event: MouseEvent) => void,
  attributes: Record<string, Value> = {},
): HTMLButtonElement {
  return el("button", { type: "button", onclick: press, ...attributes }, label);
}

/** A labelled choice. */
export function choice(
  label: string,
  options: [value: string, text: string][],
  value: string,
  change: (value: string) => void,
): HTMLLabelElement {
  const select = el("select", {
    "aria-label": label,
    onchange: (event: Event) => change((event.target as HTMLSelectElement).value),
  });
  for (const [key, text] of options) select.append(el("option", { value: key }, text));
  select.value = value;
  return el("label", { class: "choice" }, el("span", {}, label), select);
}

/** A labelled check box. */
export function check(
  label: string,
  checked: boolean,
  change: (checked: boolean) => void,
): HTMLLabelElement {
  const input = el("input", {
    type: "checkbox",
    onchange: (event: Event) => change((event.target as HTMLInputElement).checked),
  });
  input.checked = checked;
  return el("label", { class: "check" }, input, el("span", {}, label));
}

/** Saves bytes under a name, as a download. */
export function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = el("a", { download: name });
  link.href = url;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A name that is safe in a file system. */
export function fileName(...parts: string[]): string {
  return parts.map((part) => part.replace(/[^\p{L}\p{N}_.-]+/gu, "-").slice(0, 60)).join("-");
}

/** Copies a picture to another canvas. */
export function copy(to: HTMLCanvasElement, from: HTMLCanvasElement): void {
  to.width = from.width;
  to.height = from.height;
  to.getContext("2d")!.drawImage(from, 0, 0);
}
