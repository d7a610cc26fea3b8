"""Workflows that combine the other packages: train, evaluate, compare, fit a prior afterwards.

Each workflow is a module that is imported by its name: `train`, `studies`, `evaluate`, `compare`,
`posthoc_prior`. This package exports the console output, which does not import torch, so that a
command can print its first line immediately.
"""

from vaelab.workflows.console import Console, Progress, Table, say

__all__ = ["Console", "Progress", "Table", "say"]
