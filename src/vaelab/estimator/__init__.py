"""The scikit-learn estimator: a VAE with fit, transform, score_samples, predict and sample.

`VAETransformer` trains without a run folder and without printing; `VAEDetector` is a detector of
outliers in the convention of PyOD, where higher scores are odder and the label of an outlier is 1.
"""

from vaelab.estimator.detector import VAEDetector
from vaelab.estimator.transformer import VAETransformer

__all__ = ["VAEDetector", "VAETransformer"]
