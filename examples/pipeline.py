"""A pipeline with a ColumnTransformer: codes of a table of words and numbers with empty cells.

Patients are described by measurements and a word, and a tenth of the cells is missing. Two VAEs
turn two groups of columns into codes, words and empty cells included, without encoders, scalers or
imputers. A linear model then predicts the progression of diabetes one year later. Beside it stands
the usual pipeline, which imputes, scales and encodes. The VAEs never see what is predicted.

    pip install 'vaelab[tables]'     # for the data frame
    python examples/pipeline.py      # less than a minute on one core
    python examples/pipeline.py 2    # two epochs only, to try it out
"""

import sys

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from vaelab.estimator import VAETransformer

EPOCHS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
PERSON = ["age", "sex", "bmi", "bp"]
BLOOD = ["s1", "s2", "s3", "s4", "s5", "s6"]
FOLDS = 5


def patients() -> tuple[pd.DataFrame, pd.Series]:
    """The diabetes data of scikit-learn with words, and with a tenth of the cells empty."""
    found = load_diabetes(as_frame=True, scaled=False)
    frame = found.data.assign(sex=found.data["sex"].map({1.0: "woman", 2.0: "man"}))
    empty = np.random.default_rng(0).random(frame.shape) < 0.1
    return frame.mask(empty), found.target


def with_codes() -> ColumnTransformer:
    person = VAETransformer(latent=3, epochs=EPOCHS, random_state=0)
    blood = VAETransformer(latent=4, epochs=EPOCHS, random_state=0)
    return ColumnTransformer([("person", person, PERSON), ("blood", blood, BLOOD)])


def usual() -> ColumnTransformer:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(drop="if_binary"))
    others = [name for name in PERSON if name != "sex"]
    return ColumnTransformer([("numbers", numbers, others + BLOOD), ("words", words, ["sex"])])


def main() -> None:
    x, y = patients()
    print(x.head(3).to_string(), "\n")
    for name, columns in {"codes of two VAEs": with_codes(), "imputed, scaled": usual()}.items():
        model = make_pipeline(columns, RidgeCV(np.logspace(-2, 3, 20)))
        scores = cross_val_score(model, x, y, cv=FOLDS)
        error = scores.std(ddof=1) / np.sqrt(FOLDS)
        width = columns.fit_transform(x).shape[1]
        print(f"{name:<18}{width:>3} columns: R2 {scores.mean():.2f} ± {error:.2f}")


if __name__ == "__main__":
    main()
