// The latent explorer. What it shows is in document.ts, what a person changes in state.ts.
import { type Payload, readPayload } from "../shared/payload";
import { Context, NONE } from "./context";
import type { ExplorerDocument } from "./document";
import { Model } from "./model";
import { Page, SCHEME, dress } from "./page";
import { type Home, type State, Store } from "./state";

/** What the page opens with: the origin of a plane; in more dimensions the first test image. */
function initial({ lang, data, runs }: ExplorerDocument, models: Model[]): State {
  const plane = models.every((model) => model.latent < 3 && model.decodes);
  return {
    runs: runs.map((run, r) => ({
      z: plane ? run.dimensions.centre.map(() => 0) : models[r]!.code(0),
      axes: run.pca ? "pca" : "0,1",
      view: null,
      lasso: [],
      a: [],
      b: [],
    })),
    active: 0,
    image: plane ? NONE : 0,
    drawn: "",
    mode: "move",
    tab: "image",
    colour: data.classes.length ? "class" : (Object.keys(runs[0]!.numbers).at(-1) ?? "none"),
    map: false,
    fade: true,
    noisy: false,
    curved: false,
    page: 0,
    label: 0,
    from: 0,
    to: Math.min(1, data.classes.length - 1),
    strength: 0,
    lang,
    theme: "",
    large: false,
  };
}

/** Where a selected test image puts the points of all runs, and its class. */
function homes(payload: Payload<ExplorerDocument>, models: Model[]): Home {
  const { labels: ref } = payload.document.data;
  const labels = ref && (payload.raw(ref) as Int16Array);
  return (image, runs) => ({
    runs: runs.map((run, r) => ({ ...run, z: models[r]!.code(image) })),
    label: Math.max(0, labels?.[image] ?? 0),
  });
}

async function start(root: HTMLElement): Promise<void> {
  const payload = await readPayload<ExplorerDocument>();
  const models = payload.document.runs.map((run) => new Model(run, payload));
  const store = new Store(
    initial(payload.document, models),
    payload.document,
    homes(payload, models),
  );
  const context = new Context(payload.document, payload, store, models);
  dress(context, store.state);
  let page = new Page(root, context);
  const follow = (state: State) => {
    dress(context, state);
    if (page.kind(state) !== page.current) {
      page.destroy();
      page = new Page(root, context);
    } else page.update(state);
  };
  store.listen(follow);
  addEventListener("keydown", (event) => page.key(event));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) page.drop(file).catch(fail);
  });
  SCHEME.addEventListener("change", () => follow(store.state));
  Object.assign(root, { models }); // to encode and decode in the browser's console
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

/** Says on the page what went wrong: nobody looks into a browser's console. */
function fail(error: unknown): void {
  const line = document.getElementById("error")!;
  const message = error instanceof Error ? error.message : String(error);
  line.textContent = `${line.dataset.prefix ?? ""} ${message}`;
  line.hidden = false;
}

addEventListener("error", (event) => fail(event.error ?? event.message));
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  fail(event.reason);
});
start(document.getElementById("explorer")!).catch(fail);
