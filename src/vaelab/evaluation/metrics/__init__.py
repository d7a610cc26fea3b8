"""Metrics as pure functions of arrays, codes, features and log weights: no run, no files, no screen."""

from vaelab.evaluation.metrics.estimates import Estimate, Metric, mean, number, pooled, resampled

__all__ = ["Estimate", "Metric", "mean", "number", "pooled", "resampled"]
