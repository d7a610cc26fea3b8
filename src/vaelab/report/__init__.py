"""Pages: what a person opens. A comparison as HTML with its pictures, as Markdown, CSV and JSON."""

from vaelab.report.comparison import brief, html, markdown, write
from vaelab.report.tables import record

__all__ = ["brief", "html", "markdown", "record", "write"]
