"""Outliers: log p(x) of a VAE beside PCA and an isolation forest, on tables of scikit-learn.

Every method learns usual rows and then ranks held-out usual rows among rows of a class that it has
never seen. The printed number is the area under the ROC curve: the probability that a row of the
unseen class scores as odder than a usual one. Nothing is chosen on the unseen class: the VAE has
its default settings, PCA keeps 90 % of the variance, the forest has 200 trees.

    python examples/outliers.py      # less than a minute on one core
    python examples/outliers.py 2    # two epochs only, to try it out
"""

import sys

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from vaelab.estimator import VAETransformer
from vaelab.evaluation.metrics.anomalies import auc

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else None  # None: as the recipe says


def pca_error(train: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The squared error of the reconstruction by principal components of standardised columns."""
    scaler = StandardScaler().fit(train)
    pca = PCA(0.9, svd_solver="full").fit(scaler.transform(train))
    rows = scaler.transform(new)
    return ((rows - pca.inverse_transform(pca.transform(rows))) ** 2).sum(1)


def vae_score(train: np.ndarray, new: np.ndarray) -> np.ndarray:
    return -VAETransformer(epochs=EPOCHS, random_state=0).fit(train).score_samples(new)


def forest_score(train: np.ndarray, new: np.ndarray) -> np.ndarray:
    return -IsolationForest(n_estimators=200, random_state=0).fit(train).score_samples(new)


METHODS = {"VAE": vae_score, "PCA": pca_error, "isolation forest": forest_score}


def main() -> None:
    tumours, wine = load_breast_cancer(), load_wine()
    cases = [("malignant tumours", tumours.data, tumours.target == 0)]
    cases += [(f"wine of cultivar {k}", wine.data, wine.target == k) for k in range(3)]
    print(f"{'outliers':<22}{'rows':>6}  " + "".join(f"{name:>18}" for name in METHODS))
    for name, x, odd in cases:
        train, usual = train_test_split(x[~odd], test_size=0.3, random_state=0)
        new = np.concatenate([usual, x[odd]])
        label = np.arange(len(new)) >= len(usual)
        areas = [auc(method(train, new), label) for method in METHODS.values()]
        print(f"{name:<22}{len(train):>6}  " + "".join(f"{area!s:>18}" for area in areas))


if __name__ == "__main__":
    main()
