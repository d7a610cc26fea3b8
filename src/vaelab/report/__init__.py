"""Reports of a comparison: an HTML page with pictures, Markdown, CSV and JSON."""

from vaelab.report.comparison import brief, html, markdown, write
from vaelab.report.tables import record

__all__ = ["brief", "html", "markdown", "record", "write"]
