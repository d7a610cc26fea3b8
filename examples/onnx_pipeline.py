"""The encoder of a VAE in a scikit-learn pipeline, with neither vaelab nor torch installed.

    vaelab train quickstart --model.latent 16
    vaelab export runs/quickstart --out exported
    python examples/onnx_pipeline.py exported/encoder.onnx

The pipeline classifies the digits of scikit-learn by their codes, which the ONNX runtime computes.
"""

import json
import sys

import numpy as np
from onnxruntime import InferenceSession
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class OnnxEncoder(TransformerMixin, BaseEstimator):
    """Images (n, pixels) of grey levels -> their codes E[z|x] (n, L), by an exported encoder."""

    def __init__(self, path):
        self.path = path

    def fit(self, images, y=None):
        self.session_ = InferenceSession(self.path)
        metadata = self.session_.get_modelmeta().custom_metadata_map
        self.data_ = json.loads(metadata["vaelab"])["data"]
        return self

    def transform(self, images):
        x = np.reshape(images, (-1, *self.data_["shape"])) / (self.data_["levels"] - 1)
        (mean,) = self.session_.run(["mean"], {"x": x.astype(np.float32)})
        return mean


if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    model = make_pipeline(OnnxEncoder(sys.argv[1]), StandardScaler(), LogisticRegression())
    model.fit(X_train, y_train)
    print(f"accuracy on {len(y_test)} test images: {model.score(X_test, y_test):.3f}")
