"""Models in other forms: the programs that a page in a browser runs."""

from vaelab.export.arrays import Arrays, Ref
from vaelab.export.model import functions
from vaelab.export.program import Program, embedded
from vaelab.export.reasons import Reason, UnknownOperationError, UntraceableError
from vaelab.export.trace import trace

__all__ = [
    "Arrays",
    "Program",
    "Reason",
    "Ref",
    "UnknownOperationError",
    "UntraceableError",
    "embedded",
    "functions",
    "trace",
]
