"""GridSearchCV over beta: which weight of the KL divergence gives the best density of digits?

The score of an estimator is the mean of log p(x) over held-out images, in nats. It is the same
quantity for every beta, so it can choose among them. Images that choose are not those of the last
line, which no training and no choice has seen.

    python examples/beta.py      # less than a minute on one core
    python examples/beta.py 2    # two epochs of a hundred images, to try it out
"""

import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from vaelab.estimator import VAETransformer

EPOCHS, ROWS = (int(sys.argv[1]), 100) if len(sys.argv) > 1 else (80, None)
FOLDS = 3


def main() -> None:
    images = load_digits().data[:ROWS] / 16  # (N, 64), grey levels from 0 to 1
    images, new = train_test_split(images, test_size=0.3, random_state=0)
    vae = VAETransformer("quickstart", shape=(8, 8), latent=8, epochs=EPOCHS, random_state=0)
    search = GridSearchCV(vae, {"beta": [0.1, 0.3, 1.0, 3.0, 10.0]}, cv=FOLDS).fit(images)

    found = search.cv_results_
    print(f"{'beta':>6}{'log p(x), nats per image':>28}")
    for beta, mean, deviation in zip(
        found["param_beta"], found["mean_test_score"], found["std_test_score"], strict=True
    ):
        print(f"{beta:>6}{mean:>20.2f} ± {deviation / np.sqrt(FOLDS - 1):.2f}")
    print(f"best: beta {search.best_params_['beta']}, {search.score(new):.2f} nats on new images")


if __name__ == "__main__":
    main()
