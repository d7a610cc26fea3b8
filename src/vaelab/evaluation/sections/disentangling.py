"""Section disentangling: codes beside the factors that the images were generated from.

Codes are the means E[z|x], as in Locatello et al. 2019, arXiv:1811.12359, who found that the scores rank
models differently; read several.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Metric, resampled
from vaelab.evaluation.metrics.factors import (
    Integers,
    Reals,
    dci,
    mig,
    modularity,
    mutual_information,
    sap,
)
from vaelab.evaluation.metrics.fixed_factors import GROUP, beta_vae_score, factor_vae_score
from vaelab.seeding import numpy_generator, seeded

ROWS = 10_000  # training images that predictors learn from; and images whose information is counted
CELLS = 100_000  # rows times dimensions that a forest is grown on: bounds the time
WIDEST = 100  # dimensions beyond which what takes long is left out
RESAMPLES = 50  # of the images, for a standard error


METRICS = {
    "mig": Metric(
        "mutual information gap between the two most informative dimensions of a factor; chance 0",
        "share",
        "higher",
        "chen2018isolating",
    ),
    "sap": Metric(
        "accuracy gap between the two dimensions that predict a factor best; chance 0",
        "share",
        "higher",
        "kumar2018variational",
    ),
    "modularity": Metric(
        "each dimension is informative about one factor only; high for noise too",
        "",
        "higher",
        "ridgeway2018learning",
    ),
    "dci_disentanglement": Metric(
        "each dimension matters to one factor only; chance near 0",
        "",
        "higher",
        "eastwood2018framework",
    ),
    "dci_completeness": Metric(
        "each factor needs one dimension only; chance near 0", "", "higher", "eastwood2018framework"
    ),
    "dci_informativeness": Metric(
        "accuracy of predicting factors by a random forest; chance: mean of 1 / values",
        "share",
        "higher",
        "eastwood2018framework",
    ),
    "dci_accuracy": Metric(
        "the same for each factor; chance: 1 / values", "share", "higher", "eastwood2018framework"
    ),
    "factor_vae_score": Metric(
        "the dimension that varies least tells which factor is fixed; chance: 1 / factors",
        "share",
        "higher",
        "kim2018disentangling",
    ),
    "beta_vae_score": Metric(
        "a linear classifier of |z - z'| tells which factor is fixed; chance: 1 / factors",
        "share",
        "higher",
        "higgins2017beta",
    ),
    "factor_information": Metric(
        "mutual information of each dimension and each factor; 0 for unused dimensions",
        "nats",
        "",
        "chen2018isolating",
    ),
}


def measure(evaluator: Evaluator) -> dict[str, Any]:
    """All scores of a run whose data have known factors, by their names in METRICS; else only a note that says why not.

    Predictors learn from training images, up to 10,000, and are judged on all test images; see `scores`. Factors of one
    value are left out, with a note. Dimensions that the model does not use count as constant, with a note: their means
    vary by a hair, in which bins and trees, blind to scale, find what the decoder never sees. Used are those with
    Var_x(E[z|x]) > 0.01 Var(z), z sampled: for a prior N(0, I) the active units of Burda et al. 2016, arXiv:1509.00519,
    and the like for codes of any other scale.
    """
    data, notes = evaluator.data, list[str]()
    if data.factors is None or data.train.factors is None or data.test.factors is None:
        return {"notes": ["the data have no known factors: disentangling not measured"]}
    some = numpy_generator(evaluator.seed, "disentangling").permutation(len(evaluator.z_train))[
        :ROWS
    ]
    codes, others = (z.cpu().double().numpy() for z in (evaluator.z_train[some], evaluator.z_test))
    factors = data.train.factors[evaluator.chosen(data.train)].numpy()[some]
    truth = data.test.factors[evaluator.chosen(data.test)].numpy()

    used, known = _used(evaluator, others), (np.ptp(factors, 0) > 0) & (np.ptp(truth, 0) > 0)
    names = [name for name, varies in zip(data.factors, known, strict=True) if varies]
    if not used.all():
        notes.append(
            f"{np.sum(~used)} of {len(used)} dimensions of z are not used and count as constant"
        )
    if not known.all():
        notes.append(
            f"{np.sum(~known)} of {len(known)} factors take one value only and are left out"
        )
    if not used.any() or not names:
        return {
            "notes": [
                *notes,
                "no dimension or no factor varies: disentangling not measured",
            ]
        }
    if {"shape", "rotation"} <= {*names}:
        notes.append(
            "squares look alike every quarter turn, ellipses every half turn: no code knows all of rotation"
        )
    if len(evaluator.vae.classes):
        notes.append(
            "the model is conditional on the label, so its code need not hold the factor that is the label"
        )
    found = scores(codes * used, factors[:, known], others * used, truth[:, known], evaluator.seed)
    for key in {"factor_information", "dci_accuracy"} & {*found}:
        found[key] = dict(zip(names, found[key], strict=True))
    return found | {"notes": notes + found["notes"]}


def scores(
    codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0
) -> dict[str, Any]:
    """Every score that makes sense, by its name in METRICS, and "notes" on those left out. No factor may be constant.

    Predictors learn from the first pair of codes and factors and are judged on the second. Histograms need many images,
    so information is that of the second pair and of as many of the first as make 10,000. Standard errors are over
    those images, or over groups drawn from them; `dci_disentanglement` and `dci_completeness` have none, for each
    resample would need forests of its own. "factor_information" is a list (F, L).
    """
    n, dimensions, f = len(others), max(1, int((np.ptp(codes, 0) > 0).sum())), truth.shape[1]
    wide, notes, found = dimensions > WIDEST, list[str](), dict[str, Any]()
    over_rows = partial(resampled, times=0 if wide else RESAMPLES, seed=seed)
    z, v = (
        np.concatenate([others, codes])[: max(n, ROWS)],
        np.concatenate([truth, factors])[: max(n, ROWS)],
    )
    found["factor_information"] = mutual_information(z, v).T.tolist()
    found["mig"] = over_rows(lambda rows: mig(z[rows], v[rows]), torch.arange(len(z)))
    found["sap"] = over_rows(
        lambda rows: sap(codes, factors, others[rows], truth[rows]), torch.arange(n)
    )
    if wide:
        notes.append(
            f"DCI, the beta-VAE score and standard errors would take too long for {dimensions} dimensions"
        )
    else:
        some = slice(CELLS // dimensions)
        forests = dci(codes[some], factors[some], others, truth, seed)._asdict()
        found |= {f"dci_{name}": value for name, value in forests.items() if name != "importance"}
    if f == 1:
        found.pop("dci_disentanglement", None)
        notes.append("scores that tell one factor from another need two")
        return found | {"notes": notes}
    found["modularity"] = over_rows(lambda rows: modularity(z[rows], v[rows]), torch.arange(len(z)))
    if min(np.bincount(values).max() for values in [*factors.T, *truth.T]) < GROUP:
        notes.append(
            f"too few images: the FactorVAE and beta-VAE scores need {GROUP} that share a value of a factor"
        )
        return found | {"notes": notes}
    found["factor_vae_score"] = factor_vae_score(codes, factors, others, truth, seed)
    if not wide:
        found["beta_vae_score"] = beta_vae_score(codes, factors, others, truth, seed)
    return found | {"notes": notes}


def _used(evaluator: Evaluator, means: Reals) -> NDArray[np.bool_]:
    """Which dimensions of z depend on the image, (L,), by their means (M, L) and one sample z for each test image."""
    vae = evaluator.vae
    with seeded(evaluator.seed, "disentangling"):
        samples = vae.each(
            lambda x, *y: vae.encoder(x, *y).sample(), evaluator.x_test, evaluator.test.y
        )
    used: NDArray[np.bool_] = (means.var(0) > 0.01 * samples.cpu().double().numpy().var(0)) & (
        np.ptp(means, 0) > 0
    )
    return used
