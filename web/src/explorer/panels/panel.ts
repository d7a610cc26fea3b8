// What the tabs below the plane have in common.
import type { Context } from "../context";
import type { State } from "../state";

export interface Panel {
  readonly element: HTMLElement;
  /** Whether there is anything to show of the active run; without it always. */
  offered?(): boolean;
  /** Called whenever the state changes while the panel is visible. */
  update(state: State): void;
}

export type MakePanel = (context: Context) => Panel;

/** Calls a function only when what it depends on has changed. */
export function whenChanged(work: () => void): (...dependencies: unknown[]) => void {
  let last = "";
  return (...dependencies) => {
    const now = JSON.stringify(dependencies);
    if (now === last) return;
    last = now;
    work();
  };
}
