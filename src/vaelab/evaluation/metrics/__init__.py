"""Metrics as pure functions of arrays: codes, features, log weights. They use no run or file."""

from vaelab.evaluation.metrics.estimates import Estimate, Metric, mean, number, pooled, resampled

__all__ = ["Estimate", "Metric", "mean", "number", "pooled", "resampled"]
