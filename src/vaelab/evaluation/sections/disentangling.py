"""Section disentangling: codes compared with the factors that generated the images.

Codes are the posterior means E[z|x], as in Locatello et al. 2019, arXiv:1811.12359, who found that
the scores rank models differently. It is therefore best to read several of them.
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

ROWS = 10_000  # training images for predictors, and images for the mutual information
CELLS = 100_000  # rows times dimensions in the training of a forest, which bounds the time
WIDEST = 100  # with more dimensions, slow scores are left out
RESAMPLES = 50  # bootstrap resamples of the images

METRICS = {
    "mig": Metric("share", "higher", "chen2018isolating"),
    "sap": Metric("share", "higher", "kumar2018variational"),
    "modularity": Metric(better="higher", cites="ridgeway2018learning"),
    "dci_disentanglement": Metric(better="higher", cites="eastwood2018framework"),
    "dci_completeness": Metric(better="higher", cites="eastwood2018framework"),
    "dci_informativeness": Metric("share", "higher", "eastwood2018framework"),
    "dci_accuracy": Metric("share", "higher", "eastwood2018framework"),
    "factor_vae_score": Metric("share", "higher", "kim2018disentangling"),
    "beta_vae_score": Metric("share", "higher", "higgins2017beta"),
    "factor_information": Metric(unit="nats", cites="chen2018isolating"),
}


def measure(evaluator: Evaluator) -> dict[str, Any]:
    """Measure the scores in `METRICS` on data with known factors.

    Without known factors, the result has only a note. Predictors are trained on up to 10,000
    training images and evaluated on all test images; see `scores`.

    Factors with one value are left out, with a note. Unused dimensions count as constant, with a
    note: their means vary only slightly, but histograms and trees ignore the scale and would find
    information that the decoder does not use. A dimension is used if Var_x(E[z|x]) > 0.01 Var(z),
    with z sampled. For a prior N(0, I), these are the active units of Burda et al. 2016,
    arXiv:1509.00519; the criterion also applies to codes of any other scale.
    """
    data, notes = evaluator.data, list[str]()
    if data.factors is None or data.train.factors is None or data.test.factors is None:
        return {"notes": ["the data have no known factors: disentangling not measured"]}
    rng = numpy_generator(evaluator.seed, "disentangling")
    some = rng.permutation(len(evaluator.z_train))[:ROWS]
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
        return {"notes": [*notes, "no dimension or no factor varies: disentangling not measured"]}
    if {"shape", "rotation"} <= {*names}:
        notes.append(
            "squares are symmetric under quarter turns, and ellipses under half turns: "
            "no code determines the rotation completely"
        )
    if len(evaluator.vae.classes):
        notes.append(
            "the model is conditional on the label, so its code need not contain the factor that "
            "is the label"
        )
    found = scores(codes * used, factors[:, known], others * used, truth[:, known], evaluator.seed)
    for key in {"factor_information", "dci_accuracy"} & {*found}:
        found[key] = dict(zip(names, found[key], strict=True))
    return found | {"notes": notes + found["notes"]}


def scores(
    codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0
) -> dict[str, Any]:
    """Compute every applicable score by its name in `METRICS`, with "notes" on those left out.

    Predictors are trained on the first pair of codes and factors and evaluated on the second. The
    mutual information needs many images: it uses the second pair, extended by the first to 10,000.
    Standard errors are over those images, or over groups sampled from them. `dci_disentanglement`
    and `dci_completeness` have none, because each resample would need new forests.

    Args:
        codes: Codes for training, (N, L).
        factors: Factors for training, (N, F); none may be constant.
        others: Codes for evaluation, (M, L).
        truth: Factors for evaluation, (M, F).
        seed: The random seed.

    Returns:
        The scores; "factor_information" is a list (F, L).
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
            "DCI, the beta-VAE score and standard errors would take too long for "
            f"{dimensions} dimensions"
        )
    else:
        some = slice(CELLS // dimensions)
        forests = dci(codes[some], factors[some], others, truth, seed)._asdict()
        found |= {f"dci_{name}": value for name, value in forests.items() if name != "importance"}
    if f == 1:
        found.pop("dci_disentanglement", None)
        notes.append("scores that distinguish factors need two factors")
        return found | {"notes": notes}
    found["modularity"] = over_rows(lambda rows: modularity(z[rows], v[rows]), torch.arange(len(z)))
    if min(np.bincount(values).max() for values in [*factors.T, *truth.T]) < GROUP:
        notes.append(
            f"too few images: the FactorVAE and beta-VAE scores need {GROUP} images with the same "
            "value of a factor"
        )
        return found | {"notes": notes}
    found["factor_vae_score"] = factor_vae_score(codes, factors, others, truth, seed)
    if not wide:
        found["beta_vae_score"] = beta_vae_score(codes, factors, others, truth, seed)
    return found | {"notes": notes}


def _used(evaluator: Evaluator, means: Reals) -> NDArray[np.bool_]:
    """Return which dimensions of z depend on the image, (L,).

    The criterion compares the means (M, L) with one sample z for each test image.
    """
    vae = evaluator.vae
    with seeded(evaluator.seed, "disentangling"):
        samples = vae.each(
            lambda x, *y: vae.encoder(x, *y).sample(), evaluator.x_test, evaluator.test.y
        )
    variance = samples.cpu().double().numpy().var(0)
    used: NDArray[np.bool_] = (means.var(0) > 0.01 * variance) & (np.ptp(means, 0) > 0)
    return used
