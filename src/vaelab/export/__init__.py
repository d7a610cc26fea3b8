"""Models in other forms: the programs that a page in a browser runs."""

from vaelab.export.arrays import Arrays, Ref
from vaelab.export.functions import functions
from vaelab.export.operations import UnknownOperation
from vaelab.export.program import Program, embedded
from vaelab.export.trace import trace

__all__ = ["Arrays", "Program", "Ref", "UnknownOperation", "embedded", "functions", "trace"]
