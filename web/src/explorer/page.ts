// The page as a whole: its head, the runs, the tabs below them, keys and messages.
import { palette } from "./colours";
import { Context, DRAWN } from "./context";
import { button, check, choice, el } from "./dom";
import { Help } from "./help";
import { type Icon, icon } from "./icons";
import { unpack, unpackRow } from "./pad";
import { AboutPanel } from "./panels/about";
import { DirectionsPanel } from "./panels/directions";
import { OwnPanel } from "./panels/own";
import type { Panel } from "./panels/panel";
import { PathPanel } from "./panels/path";
import { RegionPanel } from "./panels/region";
import { SamplesPanel } from "./panels/samples";
import { TABS, type State, type Tab } from "./state";
import { RunView } from "./view";
import { Words } from "./words";

const QUIET = 400; // ms without a change after which the live region speaks

export class Page {
  private readonly help: Help;
  private readonly views: RunView[];
  private readonly panels: Record<Tab, Panel>;
  private readonly tabs = new Map<Tab, HTMLButtonElement>();
  private readonly live = el("p", { class: "unseen", "aria-live": "polite" });
  private readonly undo: HTMLButtonElement;
  private readonly redo: HTMLButtonElement;
  private readonly stage = el("div", { class: "stage-below" });
  private readonly own: OwnPanel;
  private timer = 0;
  private built = "";

  constructor(
    private readonly root: HTMLElement,
    private readonly context: Context,
  ) {
    const { store } = context;
    this.own = new OwnPanel(context);
    this.panels = {
      image: this.own,
      region: new RegionPanel(context),
      path: new PathPanel(context),
      samples: new SamplesPanel(context),
      directions: new DirectionsPanel(context),
      about: new AboutPanel(context),
    };
    this.help = new Help(context);
    this.views = context.models.map((_, r) => new RunView(context, r));
    this.undo = this.press("undo", () => store.undo());
    this.redo = this.press("redo", () => store.redo());
    context.onHover = (image) => {
      context.hovered = image;
      for (const view of this.views) view.plane.paintOver();
    };
    root.replaceChildren(
      this.head(),
      el("div", { class: `runs runs-${this.views.length}` }, ...this.views.map((v) => v.element)),
      this.below(),
      this.live,
      this.help.element,
    );
    this.built = this.kind(store.state);
    this.update(store.state);
  }

  /** What needs the page to be built again. */
  kind(state: State): string {
    return JSON.stringify([state.lang]);
  }

  get current(): string {
    return this.built;
  }

  private head(): HTMLElement {
    const { context } = this;
    const {
      document: { data, runs },
      store,
      words,
    } = context;
    const { state } = store;
    const about = words.t("subtitle", {
      name: data.name,
      count: context.count,
      latent: [...new Set(runs.map((run) => run.latent))].join(" / "),
    });
    const decodes = context.models.some((model) => model.decodes);
    const tools = el(
      "div",
      { class: "tools" },
      this.undo,
      this.redo,
      button(words.t("reset"), () => store.reset()),
      decodes ? check(words.t("honest"), state.fade, (fade) => store.commit({ fade })) : null,
      decodes && runs.some((run) => run.noise)
        ? check(words.t("noisy"), state.noisy, (noisy) => store.commit({ noisy }))
        : null,
      this.classes(),
      button("Aa", () => store.commit({ large: !context.state.large }), {
        title: words.t("large"),
        "aria-label": words.t("large"),
        "aria-pressed": String(state.large),
      }),
      this.press("theme", () => store.commit({ theme: context.colours.dark ? "light" : "dark" })),
      button(
        words.t("other_language"),
        () => store.commit({ lang: context.state.lang === "en" ? "pt" : "en" }),
        { lang: state.lang === "en" ? "pt-BR" : "en" },
      ),
      button("?", () => this.help.toggle(), {
        title: words.t("help"),
        "aria-label": words.t("help"),
      }),
    );
    return el(
      "header",
      {},
      el(
        "h1",
        { class: runs.length > 1 ? "several" : "" },
        runs.map((run) => run.name).join(" · "),
        el("small", {}, about),
      ),
      tools,
    );
  }

  private press(name: Icon & ("undo" | "redo" | "theme"), work: () => void): HTMLButtonElement {
    const label = this.context.words.t(name);
    const made = button("", work, { "aria-label": label, title: label });
    made.append(icon(name));
    return made;
  }

  /** The class that a conditional model decodes. */
  private classes(): HTMLElement | null {
    const { context } = this;
    if (!context.models.some((model) => model.document.given)) return null;
    const options = context.document.data.classes.map(({ name }, i): [string, string] => [
      String(i),
      name,
    ]);
    return choice(context.words.t("given_class"), options, String(context.state.label), (label) =>
      context.store.commit({ label: Number(label) }),
    );
  }

  private below(): HTMLElement {
    const { context } = this;
    const { words, store } = context;
    const list = el("div", { class: "tabs", role: "tablist", "aria-label": words.t("tabs") });
    for (const tab of TABS) {
      const name = tab === "image" && !context.encodes ? "test_number" : `tab_${tab}`;
      const press = button(words.t(name), () => store.commit({ tab }), {
        role: "tab",
        id: `tab-${tab}`,
        "aria-controls": "below",
      });
      press.addEventListener("keydown", (event) => this.turn(event, tab));
      this.tabs.set(tab, press);
      list.append(press);
    }
    this.stage.id = "below";
    this.stage.setAttribute("role", "tabpanel");
    return el("section", { class: "below" }, list, this.stage);
  }

  /** Whether a tab has something to show of the active run. */
  private offered(tab: Tab): boolean {
    return this.panels[tab].offered?.() ?? true;
  }

  private turn(event: KeyboardEvent, tab: Tab): void {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const tabs = TABS.filter((one) => this.offered(one));
    const next = tabs[(tabs.indexOf(tab) + by + tabs.length) % tabs.length]!;
    this.context.store.commit({ tab: next });
    this.tabs.get(next)!.focus();
  }

  update(state: State): void {
    const { context } = this;
    context.models.forEach((model) => (model.label = Math.max(0, state.label)));
    for (const view of this.views) view.update(state);
    const chosen = this.offered(state.tab) ? state.tab : "image";
    for (const [tab, press] of this.tabs) {
      press.hidden = !this.offered(tab);
      press.setAttribute("aria-selected", String(tab === chosen));
      press.tabIndex = tab === chosen ? 0 : -1;
    }
    const panel = this.panels[chosen];
    if (this.stage.firstChild !== panel.element) this.stage.replaceChildren(panel.element);
    this.stage.setAttribute("aria-labelledby", `tab-${chosen}`);
    panel.update(state);
    this.undo.disabled = !context.store.undoable;
    this.redo.disabled = !context.store.redoable;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.speak(state), QUIET);
  }

  /** Tells those who cannot see where the point is. */
  private speak(state: State): void {
    const { context } = this;
    const { words } = context;
    const { z } = state.runs[state.active]!;
    const near = context.title(context.nearestCode(state.active, z));
    this.live.textContent = words.t("decoded_label", { code: words.code(z), near });
  }

  key(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement && event.target.type !== "range";
    const { store } = this.context;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) {
      event.preventDefault();
      if (event.shiftKey) store.redo();
      else store.undo();
    } else if ((event.ctrlKey || event.metaKey) && event.key === "y" && !typing) {
      event.preventDefault();
      store.redo();
    } else if (event.key === "?" && !typing) {
      this.help.toggle();
    }
  }

  async drop(file: File): Promise<void> {
    if (!this.context.encodes) return;
    this.context.store.set({ tab: "image" });
    await this.own.open(file);
  }

  destroy(): void {
    clearTimeout(this.timer);
    this.root.replaceChildren();
  }
}

export const SCHEME = matchMedia("(prefers-color-scheme: dark)");

/** Sets what the state says of the whole page, before its parts are updated. */
export function dress(context: Context, state: State): void {
  const worn = JSON.stringify([state.lang, state.theme, state.large, SCHEME.matches]);
  if (worn !== context.worn) change(context, state); // asking the browser for colours takes 2 ms
  context.worn = worn;
  const { display } = context.models[0]!.document;
  const size = context.document.data.shape.reduce((a, b) => a * b, 1);
  if (state.image === DRAWN && state.drawn !== context.drawnText) {
    context.drawn = context.table
      ? unpackRow(state.drawn, size)
      : unpack(state.drawn, size, display);
    context.drawnText = state.drawn;
  }
}

/** Language, colours and size of the whole page. */
function change(context: Context, state: State): void {
  const { documentElement: html } = document;
  html.lang = state.lang === "pt" ? "pt-BR" : "en";
  if (state.theme) html.dataset.theme = state.theme;
  else delete html.dataset.theme;
  html.classList.toggle("large", state.large);
  const colours = palette();
  if (colours.paper !== context.colours.paper || colours.dark !== context.colours.dark) {
    context.colours = colours;
    for (const pictures of context.pictures) pictures.repaint(colours);
  }
  context.words = new Words(context.document.texts, state.lang, context.document.data.form);
}
