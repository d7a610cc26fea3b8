"""The sections of an evaluation. Each measures a run and lists its metrics in `METRICS`.

What each metric is stands in language/metrics.toml, in English and in Portuguese.
"""

from typing import Any

from vaelab.evaluation.metrics.estimates import Metric
from vaelab.evaluation.sections import disentangling, latent, likelihood, rows, samples

SECTIONS: dict[str, Any] = {
    "likelihood": likelihood,
    "latent": latent,
    "samples": samples,
    "rows": rows,
    "disentangling": disentangling,
}
METRICS: dict[str, dict[str, Metric]] = {name: part.METRICS for name, part in SECTIONS.items()}

__all__ = ["METRICS", "SECTIONS", "disentangling", "latent", "likelihood", "rows", "samples"]
