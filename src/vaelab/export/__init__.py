"""Models in other forms: programs that a page in a browser runs, and files that need no vaelab."""

from vaelab.export.arrays import Arrays, Ref
from vaelab.export.contract import Contract, contract, signature
from vaelab.export.functions import FUNCTIONS, Function
from vaelab.export.model import functions
from vaelab.export.program import Program, embedded
from vaelab.export.reasons import Reason, UnknownOperationError, UntraceableError
from vaelab.export.trace import trace

__all__ = [
    "FUNCTIONS",
    "Arrays",
    "Contract",
    "Function",
    "Program",
    "Reason",
    "Ref",
    "UnknownOperationError",
    "UntraceableError",
    "contract",
    "embedded",
    "functions",
    "signature",
    "trace",
]
