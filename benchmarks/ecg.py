"""Score every step of a generated electrocardiogram with planted anomalies.

    python benchmarks/ecg.py                       # two seeds: about eight minutes on two cores
    python benchmarks/ecg.py --runs runs/ecg       # where the runs are kept; finished ones are used
    python benchmarks/ecg.py --table               # only the table of docs/signals.md

The signal is 24 minutes of one lead at 128 Hz (`vaelab.data.ecg`). Training and validation use the
first 18 minutes, which are normal. Into the last six, 40 anomalies are planted: missing beats,
premature wide beats, ST elevations of five beats, and bursts of noise. The recipe `signal` is
trained without a change but the window of 256 steps; nothing is tuned on the test part. AUC is that
of single time steps, those within an anomaly against all others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from scipy.ndimage import median_filter, uniform_filter1d
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score

import vaelab
from vaelab.data import ecg, windows
from vaelab.evaluation.steps import overlaid, step_scores
from vaelab.plots import Look, encode
from vaelab.plots.series import signal_scores
from vaelab.workflows.studies import trained

HERE = Path(__file__).parent
RESULT, PAGE = HERE / "results" / "ecg.json", HERE.parent / "docs" / "signals.md"
PICTURE = HERE.parent / "docs" / "img" / "ecg-score.png"
BEGIN, END = "<!-- ecg: begin -->\n", "<!-- ecg: end -->\n"
SECONDS, NORMAL = 24 * 60, 18 * 60
WINDOW, STRIDE, SMOOTH = 256, 32, 32  # steps
KINDS = ("missing beat", "premature wide beat", "ST elevation", "noise burst")
EACH = 10  # anomalies of each kind
WIDE = (ecg.Wave(1.2, 0.0, 0.04), ecg.Wave(-0.35, 0.28, 0.06))
RAISED = (*ecg.BEAT, ecg.Wave(0.2, 0.13, 0.05))


def planted(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The signal (T,), and for each step the number of its anomaly's kind from 1, else 0."""
    rng = np.random.default_rng(seed)
    signal = ecg.background(SECONDS, rng)
    marks = np.zeros(len(signal), np.int64)
    peaks, lengths = ecg.rhythm(SECONDS, rng)
    first = int(np.searchsorted(peaks, NORMAL + 5))
    places = np.linspace(first, len(peaks) - 12, EACH * len(KINDS)).astype(int)
    kinds = {int(place): i % len(KINDS) for i, place in enumerate(places)}
    raised = {place + i for place, kind in kinds.items() if kind == 2 for i in range(5)}

    def mark(kind: int, start: float, end: float) -> None:
        marks[round(start * ecg.RATE) : round(end * ecg.RATE)] = kind + 1

    for i, (peak, length) in enumerate(zip(peaks, lengths, strict=True)):
        kind = kinds.get(i)
        if i in raised:
            ecg.add(signal, peak, length, rng, RAISED)
            mark(2, peak + 0.04, peak + 0.24)
        elif kind == 0:
            mark(0, peak - 0.22, peak + 0.36)
        elif kind == 1:
            ecg.add(signal, peak - 0.3 * length, length, rng, WIDE)
            mark(1, peak - 0.3 * length - 0.1, peak + 0.15)
        else:
            ecg.add(signal, peak, length, rng)
        if kind == 3:
            burst = slice(round(peak * ecg.RATE), round((peak + 1) * ecg.RATE))
            signal[burst] += 0.1 * rng.standard_normal(ecg.RATE).astype(np.float32)
            mark(3, peak, peak + 1)
    return signal, marks


def baselines(train: np.ndarray, test: np.ndarray) -> dict[str, np.ndarray]:
    """Scores (T,) of the test signal by methods that know no VAE."""
    found = {
        "distance from the running median": abs(
            test - median_filter(test, ecg.RATE, mode="nearest")
        )
    }
    rows = windows.cut(train[:, None], WINDOW, STRIDE)[:, 0]
    first = windows.starts(len(test), WINDOW, STRIDE, whole=True)
    asked = np.stack([test[start : start + WINDOW] for start in first])
    for components in (16, 64):
        pca = PCA(components, svd_solver="full").fit(rows)
        errors = (asked - pca.inverse_transform(pca.transform(asked))) ** 2
        name = f"PCA of windows, {components} components"
        found[name] = overlaid(torch.from_numpy(errors), first, len(test)).numpy()
    return found


def aucs(scores: np.ndarray, marks: np.ndarray) -> dict[str, float]:
    """AUC of single steps: of all anomalies, and of each kind against the normal steps."""
    normal = marks == 0
    found = {"all": float(roc_auc_score(~normal, scores))}
    for kind, name in enumerate(KINDS, 1):
        these = normal | (marks == kind)
        found[name] = float(roc_auc_score(marks[these] == kind, scores[these]))
    return found


def measure(seed: int, folder: Path, draw: bool) -> dict[str, Any]:
    """Train on one signal, score its test part, and compare."""
    signal, marks = planted(seed)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"ecg-{seed}.npy"
    np.save(path, signal)
    given = {"data.source": str(path), "data.window": WINDOW, "data.stride": STRIDE}
    given |= {"data.test": 1 - NORMAL / SECONDS, "train.seed": seed}
    run = trained(vaelab.recipe("signal", given), folder / f"run-{seed}")
    begin = NORMAL * ecg.RATE
    train, test, truth = signal[:begin], signal[begin:], marks[begin:]
    held = round(run.recipe.data.validation * begin)
    scores = step_scores(run.vae, torch.from_numpy(test), STRIDE).numpy()
    usual = step_scores(run.vae, torch.from_numpy(train[-held:]), STRIDE).numpy()
    threshold = float(np.quantile(usual, 0.99))
    methods = {"VAE, -log p per step": scores} | baselines(train[:-held], test)
    if draw:
        shown = slice(8 * ecg.RATE, 42 * ecg.RATE)
        figure = signal_scores(
            test[shown, None], scores[shown], truth[shown] > 0, threshold, look=Look()
        )
        PICTURE.write_bytes(encode(figure))
    return {
        "seed": seed,
        "epochs": len(run.history),
        "seconds": sum(row["seconds"] for row in run.times),
        "results": run.results,
        "anomalous_steps": float((truth > 0).mean()),
        "threshold": threshold,
        "above_threshold": {
            "normal": float((scores[truth == 0] > threshold).mean()),
            **{
                name: float((scores[truth == kind] > threshold).mean())
                for kind, name in enumerate(KINDS, 1)
            },
        },
        "auc": {name: aucs(one, truth) for name, one in methods.items()},
        "auc_smoothed": {
            name: aucs(uniform_filter1d(one, SMOOTH), truth) for name, one in methods.items()
        },
    }


def table(found: list[dict[str, Any]]) -> str:
    """The AUC of every method, mean over the seeds."""
    lines = [
        f"| score | single steps | {SMOOTH / ecg.RATE:g} s mean | {' | '.join(KINDS)} |",
        "|---|---|---|" + "---|" * len(KINDS),
    ]
    for name in found[0]["auc"]:
        cells = [mean(one["auc"][name]["all"] for one in found)]
        cells += [mean(one["auc_smoothed"][name][key] for one in found) for key in ("all", *KINDS)]
        lines.append(f"| {name} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure all seeds, and write the results, the picture and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/ecg"))
    parser.add_argument("--table", action="store_true")
    words = parser.parse_args()
    if not words.table:
        found = [measure(seed, words.runs, seed == 1) for seed in range(1, words.seeds + 1)]
        RESULT.write_text(json.dumps({"runs": found}, indent=1) + "\n")
    before, rest = PAGE.read_text().split(BEGIN)
    text = table(json.loads(RESULT.read_text())["runs"])
    PAGE.write_text(before + BEGIN + text + END + rest.split(END)[1])
    print(text)


if __name__ == "__main__":
    main()
