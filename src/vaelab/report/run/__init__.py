"""The report of a run, of several runs side by side, and of all runs below a folder."""

from vaelab.report.run import index, page, several

__all__ = ["index", "page", "several"]
