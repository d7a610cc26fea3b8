// The evolution over the epochs: a slider, and a button that plays it.
import type { Frame } from "./document";
import type { Words } from "./words";

const MILLISECONDS = 250; // a frame

export function play(root: HTMLElement, frames: Frame[], words: Words): void {
  const slider = root.querySelector<HTMLInputElement>("[data-frame]")!;
  const button = root.querySelector<HTMLButtonElement>("[data-play]")!;
  const picture = root.querySelector<HTMLImageElement>("[data-picture]")!;
  const epoch = root.querySelector<HTMLOutputElement>("[data-epoch]")!;
  let timer = 0;

  const show = (i: number): void => {
    const frame = frames[i]!;
    picture.src = frame.src;
    picture.alt = words.t("alt_frame", { epoch: frame.epoch });
    epoch.value = String(frame.epoch);
    slider.value = String(i);
    slider.setAttribute("aria-valuetext", `${words.t("epoch")} ${frame.epoch}`);
  };
  const stop = (): void => {
    clearInterval(timer);
    timer = 0;
    button.textContent = words.t("play");
    button.setAttribute("aria-pressed", "false");
  };
  const start = (): void => {
    let i = Number(slider.value) >= frames.length - 1 ? 0 : Number(slider.value);
    show(i);
    timer = window.setInterval(() => {
      i += 1;
      if (i >= frames.length) stop();
      else show(i);
    }, MILLISECONDS);
    button.textContent = words.t("pause");
    button.setAttribute("aria-pressed", "true");
  };

  button.addEventListener("click", () => (timer ? stop() : start()));
  slider.addEventListener("input", () => {
    stop();
    show(Number(slider.value));
  });
}
