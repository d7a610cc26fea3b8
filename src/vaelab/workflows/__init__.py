"""What composes the other rooms: training a run or a study, fitting a prior afterwards, comparing.

Each is a module, imported by its name: `train`, `studies`, `posthoc_prior`, `compare`. Public here is
what they print with, which imports no torch, so that a command can print its first line at once.
"""

from vaelab.workflows.console import Console, Progress, Table, say

__all__ = ["Console", "Progress", "Table", "say"]
