"""The files of a comparison: an HTML page with pictures, Markdown, LaTeX, CSV and JSON."""

from vaelab.report.comparison.page import FILES, brief, html, markdown, write
from vaelab.report.comparison.tables import record

__all__ = ["FILES", "brief", "html", "markdown", "record", "write"]
