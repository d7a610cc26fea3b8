// What is done once a frame: first what a gesture asks for, then pictures that can wait.

const BUDGET = 9; // ms of a frame, after which what can wait waits for the next

const wanted = new Map<unknown, () => void>();
const waiting = new Set<() => boolean>();
let asked = false;

/** Does a thing in the next frame; of several with one key only the last. */
export function once(key: unknown, work: () => void): void {
  wanted.set(key, work);
  ask();
}

/** Does at once what the next frame would: a gesture ends. */
export function flush(): void {
  const works = [...wanted.values()];
  wanted.clear();
  for (const work of works) work();
}

/** Does a long thing in steps, in turn with others; a step says whether more are left. */
export function slowly(step: () => boolean): void {
  waiting.add(step);
  ask();
}

function ask(): void {
  if (!asked) requestAnimationFrame(frame);
  asked = true;
}

function frame(): void {
  const start = performance.now();
  asked = false;
  flush();
  do {
    const [step] = waiting;
    if (!step) break;
    waiting.delete(step);
    if (step()) waiting.add(step); // the last in turn
  } while (performance.now() - start < BUDGET);
  if (wanted.size || waiting.size) ask();
}
