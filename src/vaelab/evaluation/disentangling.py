"""The codes against the factors that the images were made from: does each dimension of z hold one factor, and one only?

Every score is a plain function of codes (N, L), real, and factors (N, F), integers from 0; it lies in [0, 1], higher is
better, and does not change when dimensions change places, scale or sign (forests: within their chance). Those that
train a predictor take a second pair, `others` (M, L) and `truth` (M, F), on which it is judged. Codes of a model are
the means E[z|x], as in Locatello et al. 2019, arXiv:1811.12359; the scores rank models differently, they found, so
look at several.

Two ceilings lie below 1 even for a perfect code: see `mig` and `sap`. And what is not in the image is in no code: a
square looks the same after a quarter turn and an ellipse after half a turn, so nobody can read the rotation off more
than (1/4 + 1/2 + 1) / 3 = 58 % of the sprites.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vaelab.data.dataset import Array, generator
from vaelab.evaluation.latent import linear_classifier
from vaelab.evaluation.metric import Estimate, Metric, mean, pooled, resampled
from vaelab.evaluation.prepared import Subject
from vaelab.seeding import seeded

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]

BINS = 20  # of equal width over the range of a dimension, as Locatello et al.
ROWS = 10_000  # training images that predictors learn from; and images whose information is counted
CELLS = 100_000  # rows times dimensions that a forest is grown on: bounds the time
TREES, LEAF = 20, 10  # of a forest: how many, and the fewest images in a leaf
WIDEST = 100  # dimensions beyond which what takes long is left out
GROUP = 10  # images that must share a value before groups are drawn from them
BATCH = (
    64  # images, or pairs, in a group; as are the next two, for five factors, Locatello et al.'s
)
VOTES, HELD = 2_000, 1_000  # groups of each factor to learn from, and to be judged on
RESAMPLES = 50  # of the images, for a standard error

# fmt: off
METRICS = {
    "mig": Metric("what a factor's best dimension knows more of it than the second; chance 0", "share", "higher",
        "chen2018isolating"),
    "sap": Metric("how much better a factor's best dimension tells it than the second; chance 0", "share", "higher",
        "kumar2018variational"),
    "modularity": Metric("each dimension knows of one factor only; high for noise too", "", "higher",
        "ridgeway2018learning"),
    "dci_disentanglement": Metric("each dimension matters to one factor only; chance near 0", "", "higher",
        "eastwood2018framework"),
    "dci_completeness": Metric("each factor needs one dimension only; chance near 0", "", "higher",
        "eastwood2018framework"),
    "dci_informativeness": Metric("factors that a forest reads off codes; chance: mean of 1 / values", "share",
        "higher", "eastwood2018framework"),
    "dci_accuracy": Metric("the same for each factor; chance: 1 / values", "share", "higher", "eastwood2018framework"),
    "factor_vae_score": Metric("the dimension that varies least tells which factor is fixed; chance: 1 / factors",
        "share", "higher", "kim2018disentangling"),
    "beta_vae_score": Metric("a linear classifier of |z - z'| tells which factor is fixed; chance: 1 / factors",
        "share", "higher", "higgins2017beta"),
    "factor_information": Metric("what each dimension knows of each factor (0 where unused)", "nats", "",
        "chen2018isolating"),
}
# fmt: on


class DCI(NamedTuple):
    """Eastwood & Williams' three numbers, and what they are made of."""

    disentanglement: float
    completeness: float
    informativeness: (
        Estimate  # each: the share of its factors that are read right, for each held-out image
    )
    accuracy: list[Estimate]  # the same for each factor, (F,)
    importance: Reals  # (L, F), each column sums to 1


# ---------------------------------------------------------------- from mutual information


def mutual_information(codes: Reals, factors: Integers) -> Reals:
    """I(z_i; v_j) of every dimension and every factor, (L, F), in nats, at least 0.

    I = H(z) + H(v) - H(z, v) by a histogram of z in 20 bins of equal width. The plug-in estimate is too high, by about
    (bins - 1) (values - 1) / 2N for independent variables: 0.04 nats for 40 values and 10,000 images, 0.2 for 2,000;
    and by much less where there is information, so that gaps come out too small. Every entropy here therefore carries
    its first correction (Miller & Madow 1955; see `_entropy`), which Locatello et al. leave out. What remains is below
    0.01 nats for 10,000 images; for 2,000, with many cells empty, 0.06.
    """
    low = codes.min(0)
    width = np.where(np.ptp(codes, 0) > 0, np.ptp(codes, 0), 1)
    bins = np.minimum((codes - low) / width * BINS, BINS - 1).astype(np.int64)  # (N, L)
    information = np.empty((codes.shape[1], factors.shape[1]))
    for i, column in enumerate(bins.T):
        for j, values in enumerate(factors.T):
            together = _entropy(column * (values.max() + 1) + values)
            information[i, j] = max(0.0, _entropy(column) + _entropy(values) - together)
    return information


def _entropy(values: Integers) -> float:
    """-sum_k p_k ln p_k + (K - 1) / 2N in nats, p the shares of the K values that occur among N."""
    counts = np.bincount(values)
    shares = counts[counts > 0] / len(values)
    return float(-(shares * np.log(shares)).sum() + (len(shares) - 1) / (2 * len(values)))


def mig(codes: Reals, factors: Integers) -> float:
    """Mutual information gap: mean_j (I(z_a; v_j) - I(z_b; v_j)) / H(v_j), a and b the two best dimensions for v_j.

    0: for every factor two dimensions know the same, or nothing is known; a single dimension is held against 0.
    1: each factor is known in full by one dimension, and not at all by others. With 20 bins a factor of V > 20
    values cannot come above ln 20 / ln V. Independent codes: 0. Chen, Li, Grosse & Duvenaud 2018, arXiv:1802.04942,
    who use samples of q(z|x); the means know more. Factors of a single value are left out.
    """
    entropies = np.array([_entropy(values) for values in factors.T])
    nothing = np.zeros((1, factors.shape[1]))
    second, best = np.sort(np.vstack([mutual_information(codes, factors), nothing]), 0)[-2:]
    gaps = (best - second)[entropies > 0] / entropies[entropies > 0]
    return float(gaps.mean()) if len(gaps) else 0.0


def modularity(codes: Reals, factors: Integers) -> float:
    """mean_i 1 - sum_{j != a} I(z_i; v_j)^2 / (I(z_i; v_a)^2 (F - 1)), a the factor that z_i knows best.

    0: every dimension knows all factors alike. 1: each knows one only; how many know the same does not matter, nor
    does how little: a dimension of noise has a value of its own, about as high as that of a good one. Dimensions
    that know nothing of any factor are left out; 0 where all are. Ridgeway & Mozer 2018, arXiv:1802.05312.
    """
    squares = mutual_information(codes, factors) ** 2
    squares = squares[squares.any(1)]
    if not len(squares):
        return 0.0
    return float(1 - np.mean((squares.sum(1) / squares.max(1) - 1) / max(1, factors.shape[1] - 1)))


# ---------------------------------------------------------------- from predicting the factors


def sap(codes: Reals, factors: Integers, others: Reals, truth: Integers) -> float:
    """Separated attribute predictability: mean_j (S_aj - S_bj), a and b the two dimensions with the highest S_ij.

    S_ij is the balanced accuracy on `truth`, each value of factor j weighing the same, of telling v_j from z_i by
    the nearest class mean: thresholds halfway between neighbouring means, a linear classifier of one dimension. Every
    factor is a set of classes, as for Locatello et al., because rotations have no first and last; their one-against-
    all support vector machine cannot cut a middle value out of a line (0.1 for a perfect code of 32 values), thresholds
    can. Kumar et al. too fit thresholds where factors are classes, but use R^2 where they are not.

    0: two dimensions tell the same; so do independent codes. A constant dimension would score 1 / V, and that is the
    least the second best counts for, so at most 1 - mean_j 1 / V_j. Kumar, Sattigeri & Balakrishnan 2018,
    arXiv:1711.00848.
    """
    gaps = []
    for values, wanted in zip(factors.T, truth.T, strict=True):
        classes, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        means = np.stack([np.bincount(which, column) for column in codes.T]) / counts  # (L, V)
        present, row, counts = np.unique(wanted, return_inverse=True, return_counts=True)
        weight = 1 / (len(present) * counts[row])  # (M,)
        scores = [1 / len(present)]
        for column, centres in zip(others.T, means, strict=True):
            order = centres.argsort()
            thresholds = (centres[order][1:] + centres[order][:-1]) / 2
            scores.append(weight @ (classes[order][np.searchsorted(thresholds, column)] == wanted))
        second, best = np.sort([0.0, *scores])[-2:]
        gaps.append(best - second)
    return float(np.mean(gaps))


def dci(codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0) -> DCI:
    """Disentanglement, completeness and informativeness, by a random forest for each factor that reads it off z.

    R_ij is the importance of z_i to the forest of factor j: its share of the entropy that the splits take away; from it
    `disentanglement_completeness`. Informativeness is the mean accuracy on `truth`.

    Eastwood & Williams 2018 (A Framework for the Quantitative Evaluation of Disentangled Representations, ICLR) use
    forests, Locatello et al. boosted trees, which for 40 classes take ten times as long. Here every split looks at all
    dimensions, or perfect codes would be split along dimensions that know nothing; by entropy, because Gini impurity
    gives nearly all weight to the last splits of many classes, where noise decides; and no leaf holds fewer than 10
    images, for the same reason. A factor that cannot be predicted spreads its importance evenly and lowers both scores.
    """
    from sklearn.ensemble import RandomForestClassifier  # here, for it takes a second to import

    importance, right = [], []
    for values, wanted in zip(factors.T, truth.T, strict=True):
        forest = RandomForestClassifier(
            TREES, criterion="entropy", max_features=None, min_samples_leaf=LEAF, random_state=seed
        )
        forest.fit(codes, values)
        importance.append(forest.feature_importances_)
        right.append(torch.from_numpy(forest.predict(others) == wanted).double())
    found = np.stack(importance, 1)
    return DCI(
        *disentanglement_completeness(found),
        mean(torch.stack(right).mean(0)),
        [*map(mean, right)],
        found,
    )


def disentanglement_completeness(importance: Reals) -> tuple[float, float]:
    """D and C of importances R (L, F), at least 0.

    D = sum_i rho_i (1 - H(R_i. / sum_j R_ij) / ln F), rho_i the share of row i in all of R: 1 where each dimension
    matters to one factor only, 0 where each matters to all alike. C is the same of the columns, with ln L: 1 where one
    dimension holds all there is of a factor, 0 where all L hold the same, unused ones included. With a single factor D,
    with a single dimension C, is 1 and says nothing.
    """
    return _concentration(importance), _concentration(importance.T)


def _concentration(rows: Reals) -> float:
    rows = rows[rows.any(1)]
    if not len(rows):
        return 0.0
    shares = rows / rows.sum(1, keepdims=True)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)
    return float(np.average(1 - entropy / np.log(max(2, rows.shape[1])), weights=rows.sum(1)))


# ---------------------------------------------------------------- from images that share a factor


def factor_vae_score(
    codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0
) -> Estimate:
    """How often the dimension that varies least in a group tells which factor the images of the group share.

    A group is 64 images with the same value of one factor, drawn from those there are. It votes for the dimension with
    the smallest variance, in units of its variance over all of `codes`; a table says for each dimension which factor
    had most of its votes, 2,000 for each factor. The score is that table's accuracy on 1,000 each from `others`.
    Constant dimensions get no vote; what else a model does not use should be left out before, as Kim & Mnih do.

    1: each factor has dimensions that it moves most. Chance, and the score of a useless code, is 1 / F. The error is
    that of drawing the groups, not the images. Every factor needs a value that 10 images share.
    Kim & Mnih 2018, arXiv:1802.05983.
    """
    varies = np.ptp(codes, 0) > 0
    scale = np.where(varies, codes.var(0), 1)

    def vote(z: Reals, _: Integers, alike: Integers) -> Array:
        least: Array = np.where(varies, z[alike].var(1) / scale, np.inf).argmin(1)  # (groups,)
        return least

    table = np.zeros((codes.shape[1], factors.shape[1]))
    np.add.at(table, _drawn(vote, codes, factors, VOTES, 1, generator(seed, "FactorVAE votes")), 1)
    votes, which = _drawn(vote, others, truth, HELD, 1, generator(seed, "FactorVAE held out"))
    return pooled(torch.from_numpy(table.argmax(1)[votes] == which))


def beta_vae_score(
    codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0
) -> Estimate:
    """How often a linear classifier tells from 64 pairs of images which factor the two of each pair share.

    It sees the mean of |z - z'| over the pairs, each dimension standardised, and learns, by logistic regression, from
    2,000 such means for each factor; the score is its accuracy on 1,000 each from `others`.

    Mild, as the score above is: 1 also where a rotation has mixed dimensions, unless so that two factors change them
    alike, as 45 degrees do. Chance is 1 / F, F at least 2. The error is that of drawing the pairs, not the images.
    Every factor needs a value that 10 images share. Higgins et al. 2017 (beta-VAE, ICLR).
    """

    def difference(z: Reals, rows: Integers, alike: Integers) -> Array:
        mean: Array = abs(z[rows] - z[alike]).mean(1)  # (groups, L)
        return mean

    classifier = linear_classifier(
        *_drawn(difference, codes, factors, VOTES, BATCH, generator(seed, "beta-VAE pairs"))
    )
    seen, which = _drawn(
        difference, others, truth, HELD, BATCH, generator(seed, "beta-VAE held out")
    )
    return pooled(torch.from_numpy(classifier.predict(seen) == which))


def _drawn(
    feature: Callable[[Reals, Integers, Integers], Array],
    codes: Reals,
    factors: Integers,
    groups: int,
    own: int,
    rng: np.random.Generator,
) -> tuple[Array, Integers]:
    """Features of so many groups for each factor j, and each j: feature(codes, rows, others alike in j), 100 at once.

    The others are (100, 64). With `own` = 64 rows are too, and every pair shares a value of its own; with 1 they are
    (100, 1), and all 64 share the value of the one. A row is never its own partner.
    """
    found = []
    for values in factors.T:
        order = values.argsort(kind="stable")
        first, count = np.searchsorted(values[order], values), np.bincount(values)[values]
        place = order.argsort() - first  # of each row among those of its value
        usable = np.flatnonzero(count >= GROUP)
        for _ in range(groups // 100):
            rows = rng.choice(usable, (100, own))
            step = rng.integers(1, count[rows], (100, BATCH))
            found.append(
                feature(codes, rows, order[first[rows] + (place[rows] + step) % count[rows]])
            )
    return np.concatenate(found), np.repeat(np.arange(factors.shape[1]), groups)


# ---------------------------------------------------------------- of a run


def measure(subject: Subject) -> dict[str, Any]:
    """All scores of a run whose data have known factors, by their names in METRICS; else only a note that says why not.

    Predictors learn from training images, up to 10,000, and are judged on all test images; see `scores`. Factors of one
    value are left out, with a note. Dimensions that the model does not use count as constant, with a note: their means
    vary by a hair, in which bins and trees, blind to scale, find what the decoder never sees. Used are those with
    Var_x(E[z|x]) > 0.01 Var(z), z sampled: for a prior N(0, I) the active units of Burda et al. 2016, arXiv:1509.00519,
    and the like for codes of any other scale.
    """
    data, notes = subject.data, list[str]()
    if data.factors is None or data.train.factors is None or data.test.factors is None:
        return {
            "notes": ["the data have no known factors, as sprites have: disentangling not measured"]
        }
    some = generator(subject.seed, "disentangling").permutation(len(subject.z_train))[:ROWS]
    codes, others = (z.cpu().double().numpy() for z in (subject.z_train[some], subject.z_test))
    factors = data.train.factors[subject.chosen(data.train)].numpy()[some]
    truth = data.test.factors[subject.chosen(data.test)].numpy()

    used, known = _used(subject, others), (np.ptp(factors, 0) > 0) & (np.ptp(truth, 0) > 0)
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
                "nothing is left to be held against each other: disentangling not measured",
            ]
        }
    if {"shape", "rotation"} <= {*names}:
        notes.append(
            "squares look alike every quarter turn, ellipses every half turn: no code knows all of rotation"
        )
    if len(subject.vae.classes):
        notes.append(
            "the model is told the label, so its code need not hold the factor that is the label"
        )
    found = scores(codes * used, factors[:, known], others * used, truth[:, known], subject.seed)
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


def _used(subject: Subject, means: Reals) -> NDArray[np.bool_]:
    """Which dimensions of z depend on the image, (L,), by their means (M, L) and one sample z for each test image."""
    vae = subject.vae
    with seeded(subject.seed, "disentangling"):
        samples = vae.each(
            lambda x, *y: vae.encoder(x, *y).sample(), subject.x_test, subject.test.y
        )
    used: NDArray[np.bool_] = (means.var(0) > 0.01 * samples.cpu().double().numpy().var(0)) & (
        np.ptp(means, 0) > 0
    )
    return used
