"""Eight tables, each trained by `vaelab train FILE.csv` with no setting touched.

Measured on held-out rows: nats per row against one Gaussian, independent columns and a mixture; the
area under the ROC curve of the score against simple models, on rows of which three cells were taken
from other rows (and on malignant tumours, where the model learned benign ones); the error of
imputation against mean, nearest neighbours and chained equations.

    python benchmarks/own_tables.py            # all, into benchmarks/results/own_tables.json
    python benchmarks/own_tables.py wine       # some
    python benchmarks/own_tables.py --synthetic  # a thousand rows of the penguins
    python benchmarks/own_tables.py --table    # the tables of docs/tables.md from the results

The packages palmerpenguins and statsmodels have two of the tables.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn import datasets
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.mixture import GaussianMixture

import vaelab
from vaelab import devices
from vaelab.data import KINDS, Schema, read_rows, source_of
from vaelab.data.frames import encoded
from vaelab.evaluation.metrics.anomalies import auc, gaussian_scores
from vaelab.evaluation.metrics.marginals import marginal_scores
from vaelab.evaluation.metrics.rows import possible, words_of
from vaelab.models import imputed, scores

RESULT = Path(__file__).parent / "results" / "own_tables.json"
SEEDS = (0, 1)  # of splits and weights
SAMPLES = 500
PLANTED, SWAPPED, HIDDEN = 0.2, 3, 0.2  # share of odd rows, cells swapped in each, cells hidden
COMPONENTS = (1, 2, 3, 5, 8, 12)
ROWS = 600  # test rows that are scored


def bundled(name: str) -> pd.DataFrame:
    frame = getattr(datasets, f"load_{name}")(as_frame=True, **RAW.get(name, {})).frame
    return frame.drop(columns="target") if name != "diabetes" else frame


RAW: dict[str, dict[str, Any]] = {"diabetes": {"scaled": False}}


def statistics(name: str) -> pd.DataFrame:
    import statsmodels.datasets

    return getattr(statsmodels.datasets, name).load_pandas().data


def penguins() -> pd.DataFrame:
    import palmerpenguins

    return palmerpenguins.load_penguins()


def counts(n: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Counts of 12 species in three habitats, overdispersed, whose abundance varies together."""
    rng = np.random.default_rng(seed)
    habitat, wet = rng.integers(3, size=n), rng.normal(size=n)
    base, slope = rng.normal(1, 1, (3, 12)), rng.normal(0, 0.7, 12)
    mean = np.exp(base[habitat] + wet[:, None] * slope)
    found = rng.poisson(mean * rng.gamma(3, 1 / 3, (n, 12)))
    frame = pd.DataFrame(found, columns=[f"species {i + 1}" for i in range(12)])
    return frame.assign(habitat=np.array(["bog", "dune", "wood"])[habitat])


TABLES = {
    "wine": lambda: bundled("wine"),
    "breast cancer": lambda: bundled("breast_cancer"),
    "diabetes": lambda: bundled("diabetes"),
    "penguins": penguins,
    "election (anes96)": lambda: statistics("anes96"),
    "affairs (fair)": lambda: statistics("fair"),
    "health insurance (randhie)": lambda: statistics("randhie"),
    "species (generated)": counts,
}


def measure(name: str, seed: int, folder: Path) -> dict[str, Any]:
    """All numbers of one table and one split."""
    path = folder / "table.csv"
    TABLES[name]().to_csv(path, index=False)
    overrides = {"data.split_seed": seed, "train.seed": seed, "data.labels": "none"}
    recipe = vaelab.recipe_for(str(path), overrides)
    run = vaelab.train(recipe, folder / "run", overwrite=True, quiet=True)
    schema = run.schema
    assert schema is not None
    data = run.data
    train = torch.cat([data.train.x, data.validation.x]).numpy()
    test = data.test.x[:ROWS]
    seconds = sum(time["seconds"] for time in run.times)
    found = {"seed": seed, "rows": len(train), "columns": len(schema.modelled), "seconds": seconds}
    found |= {"kinds": " ".join(sorted({c.kind for c in schema.modelled}))}
    return (
        found
        | nats(run, schema, train, test)
        | oddness(run, schema, train, test, np.random.default_rng(seed))
        | holes(run, schema, train, test, np.random.default_rng(seed))
    )


def log_p(run: vaelab.Run, x: torch.Tensor, k: int = SAMPLES) -> np.ndarray:
    return torch.cat([found.log_p for found in scores(run.vae, x, k)]).numpy()


def nats(run: vaelab.Run, schema: Schema, train: np.ndarray, test: torch.Tensor) -> dict[str, Any]:
    """-log p(x) of test rows: the model, independent columns, one Gaussian and mixtures."""
    value, x = -log_p(run, test), test.numpy()
    simple = marginal_scores(schema, train, x)
    found = {"vae": value.mean(), "independent": simple.mean()}
    if all(c.kind in ("real", "heavy", "positive") for c in schema.modelled) and not (
        np.isnan(train).any() or np.isnan(x).any()
    ):
        shift, scale = train.mean(0), train.std(0)
        u, v = ((part - shift) / scale for part in (train, x))
        found["gaussian"] = gaussian_scores(u, v).mean() + np.log(scale).sum()
        fits = [
            GaussianMixture(k, covariance_type=kind, reg_covar=1e-4, n_init=2, random_state=0).fit(
                u
            )
            for k in COMPONENTS
            for kind in ("full", "diag")
            if k * 3 < len(u)
        ]
        best = min(fits, key=lambda fit: fit.bic(u))
        found["mixture"] = -best.score(v) + np.log(scale).sum()
    else:
        found["mixture"] = latent_classes(schema, train, x)
    return {f"nats {key}": float(number) for key, number in found.items()}


def latent_classes(schema: Schema, train: np.ndarray, x: np.ndarray) -> float:
    """A mixture of independent columns by expectation maximisation, its size by held-out rows.

    Within a class a number is Gaussian (the logarithm of positive numbers and of counts + 1; counts
    are probabilities of whole numbers), a category has its frequencies; empty cells do not count.
    """
    cut = len(train) * 9 // 10
    best = min(COMPONENTS, key=lambda k: -mixture(schema, train[:cut], train[cut:], k).mean())
    return float(-mixture(schema, train, x, best).mean())


def mixture(schema: Schema, train: np.ndarray, x: np.ndarray, k: int) -> np.ndarray:
    """log p(x), (N,), of a mixture of k classes fitted to `train`."""
    rng = np.random.default_rng(0)
    share = rng.dirichlet(np.ones(k), len(train))  # (M, k) of each row
    for _ in range(60):
        weights = np.log(share.mean(0) + 1e-12)
        joint = weights + columns(schema, train, train, share)
        share = np.exp(joint - np.logaddexp.reduce(joint, 1, keepdims=True))
    joint = np.log(share.mean(0) + 1e-12) + columns(schema, train, x, share)
    return np.logaddexp.reduce(joint, 1)


def columns(schema: Schema, train: np.ndarray, x: np.ndarray, share: np.ndarray) -> np.ndarray:
    """log p(x|class), (N, k), with the columns of `train` weighted by `share` (M, k)."""
    from scipy.stats import nbinom, norm

    total = np.zeros((len(x), share.shape[1]))
    for i, column in enumerate(schema.modelled):
        there, new = ~np.isnan(train[:, i]), x[:, i]
        seen, w = train[there, i].astype(float), share[there] + 1e-9
        w = w / w.sum(0)
        if KINDS[column.kind].words:
            size = len(column.values)
            p = np.stack([w[seen == v].sum(0) for v in range(size)]) + 0.5 / len(seen)
            p = np.log(p / p.sum(0))
            each = p[np.nan_to_num(new).astype(int).clip(0, size - 1)]
        elif column.kind == "count":
            mean = np.maximum(w.T @ seen, 1e-3)
            variance = np.maximum(w.T @ seen**2 - mean**2, 1.01 * mean)
            r = mean**2 / (variance - mean)
            each = nbinom.logpmf(np.nan_to_num(new)[:, None], r, r / (r + mean))
        else:
            f = np.log if column.kind == "positive" else np.asarray
            y = f(seen)
            mean = w.T @ y
            deviation = np.sqrt(np.maximum(w.T @ y**2 - mean**2, (0.02 * y.std()) ** 2 + 1e-12))
            value = f(np.where(np.isnan(new), seen[0], new))
            each = norm.logpdf(value[:, None], mean, deviation)
            each = each - (value[:, None] if column.kind == "positive" else 0)
        total += np.where(np.isnan(new)[:, None], 0, each)
    return total


def oddness(
    run: vaelab.Run, schema: Schema, train: np.ndarray, test: torch.Tensor, rng: Any
) -> dict[str, Any]:
    """AUC of finding rows of which three cells were taken from other rows."""
    x = test.clone()
    odd = rng.random(len(x)) < PLANTED
    odd[:2] = True, False
    for row in np.flatnonzero(odd):
        for column in rng.choice(x.shape[1], min(SWAPPED, x.shape[1] - 1), replace=False):
            x[row, column] = float(train[rng.integers(len(train)), column])
    place = run.folder / "odd.csv"
    pd.DataFrame(schema.cells(x.numpy())).to_csv(place, index=False)
    found = vaelab.score(run, place, samples=100)
    areas = {"vae": found.score} | found.baselines
    return {f"auc {key}": auc(value, odd).value for key, value in areas.items()}


def holes(
    run: vaelab.Run, schema: Schema, train: np.ndarray, test: torch.Tensor, rng: Any
) -> dict[str, Any]:
    """Error of imputation: of numbers the root mean square over their deviation, of categories the
    share of wrong ones; the mean over the columns.
    """
    hide = (rng.random(test.shape) < HIDDEN) & ~test.isnan().numpy()
    x = test.masked_fill(torch.from_numpy(hide), torch.nan)
    scale, shift = np.nanstd(train, 0), np.nanmean(train, 0)
    scale[scale == 0] = 1
    words = schema.of("binary", "categorical", "ordinal")
    u, v = (train - shift) / scale, (x.numpy() - shift) / scale
    fillings = {
        "vae": torch.cat([f.mean for f in imputed(run.vae, x, SAMPLES)]).numpy(),
    }
    for name, imputer in {
        "mean": SimpleImputer(),
        "neighbours": KNNImputer(n_neighbors=5),
        "chained": IterativeImputer(max_iter=10, random_state=0),
    }.items():
        fillings[name] = imputer.fit(u[:5000]).transform(v) * scale + shift
    mode = {i: pd.Series(train[:, i]).mode()[0] for i in words}
    found: dict[str, list[float]] = {name: [] for name in fillings}
    for i in range(x.shape[1]):
        if not hide[:, i].any():
            continue
        truth = test[hide[:, i], i].numpy()
        for name, filled in fillings.items():
            guess = filled[hide[:, i], i]
            if i in words:
                guess = np.full_like(truth, mode[i]) if name == "mean" else np.round(guess)
                found[name].append(float(np.mean(guess != truth)))
            else:
                error = (guess - truth) / scale[i]
                found[name].append(float(np.sqrt(np.mean(error**2))))
    return {f"imputation {name}": float(np.mean(each)) for name, each in found.items()}


def malignant(seed: int, folder: Path) -> dict[str, Any]:
    """AUC of malignant tumours among benign ones, by a model that learned benign ones only."""
    frame = datasets.load_breast_cancer(as_frame=True).frame.sample(frac=1, random_state=seed)
    benign, bad = frame[frame.target == 1], frame[frame.target == 0]
    cut = len(benign) * 7 // 10
    benign[:cut].drop(columns="target").to_csv(folder / "benign.csv", index=False)
    pd.concat([benign[cut:], bad]).to_csv(folder / "new.csv", index=False)
    overrides = {"data.split_seed": seed, "train.seed": seed}
    recipe = vaelab.recipe_for(str(folder / "benign.csv"), overrides)
    run = vaelab.train(recipe, folder / "run", overwrite=True, quiet=True)
    found = vaelab.score(run, folder / "new.csv", samples=100)
    odd = np.array(found.others["target"]) == "0"
    areas = {"vae": found.score} | found.baselines
    return {f"auc {key}": auc(value, odd).value for key, value in areas.items()}


def synthetic(name: str, folder: Path) -> dict[str, Any]:
    """A thousand rows of `vaelab sample`, read again as a table: whether they could be in it."""
    TABLES[name]().to_csv(folder / "table.csv", index=False)
    recipe = vaelab.recipe_for(str(folder / "table.csv"), {"data.labels": "none"})
    run = vaelab.train(recipe, folder / "run", overwrite=True, quiet=True)
    schema = run.schema
    assert schema is not None
    (folder / "rows.csv").write_bytes(
        encoded(Path("rows.csv"), vaelab.sample_rows(run, 1000).table())
    )
    x = read_rows(source_of(folder / "rows.csv"), schema).x.astype(float)
    columns = schema.modelled
    everything = np.concatenate([split.x.numpy() for split in run.data.splits().values()])
    steps = np.array([column.step for column in columns])
    cells = possible(x, everything.astype(float), words_of(columns), steps)
    evaluation = vaelab.evaluate(run, sections=["rows"], quiet=True).sections["rows"]
    found = {"table": name, "rows": len(x), "possible rows": float(cells.all(1).mean())}
    keys = ("closer", "copies", "copies_real", "classifier_auc", "classifier_auc_real")
    return found | {
        key: [evaluation[key].value, evaluation[key].error] for key in keys if key in evaluation
    }


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    results = json.loads(RESULT.read_text()) if RESULT.exists() else {"tables": {}}
    results["processor"] = devices.processor()
    for name in names or [*TABLES, "malignant tumours"]:
        rows = []
        for seed in SEEDS[: 1 if "randhie" in name else None]:
            with tempfile.TemporaryDirectory() as folder:
                one = malignant if name == "malignant tumours" else None
                rows.append(one(seed, Path(folder)) if one else measure(name, seed, Path(folder)))
            print(name, {k: v if isinstance(v, str) else round(v, 3) for k, v in rows[-1].items()},
                flush=True)  # fmt: skip
        results["tables"][name] = rows
        RESULT.write_text(json.dumps(results, indent=1) + "\n")


def shown() -> None:
    """Print the table of docs/tables.md."""
    results = json.loads(RESULT.read_text())["tables"]

    def mean(rows: list[dict[str, Any]], key: str, places: int) -> str:
        values = [row[key] for row in rows if key in row]
        return f"{np.mean(values):.{places}f}" if values else "–"

    parts = {
        "nats": (["vae", "gaussian", "independent", "mixture"], 2),
        "auc": (["vae", "ratio", "gaussian", "pca", "forest"], 3),
        "imputation": (["vae", "mean", "neighbours", "chained"], 3),
    }
    for part, (keys, places) in parts.items():
        print(f"\n| {part} | {' | '.join(keys)} |\n|{'---|' * (len(keys) + 1)}")
        for name, rows in results.items():
            if any(f"{part} vae" in row for row in rows):
                cells = [mean(rows, f"{part} {key}", places) for key in keys]
                print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        shown()
    elif sys.argv[1:] == ["--synthetic"]:
        with tempfile.TemporaryDirectory() as place:
            made = synthetic("penguins", Path(place))
        print(made)
        RESULT.write_text(
            json.dumps(json.loads(RESULT.read_text()) | {"synthetic": made}, indent=1) + "\n"
        )
    else:
        main(sys.argv[1:])
