"""The columns of a table as the scripts of pages need them to write cells."""

from __future__ import annotations

from typing import Any

from vaelab.data import Schema


def columns(schema: Schema) -> list[dict[str, Any]]:
    """Return the columns of x as JSON types, `ColumnDocument` of web/src/shared/cells.ts."""
    return [
        {
            "name": column.name,
            "kind": column.kind,
            "values": list(column.values),
            "origin": column.origin,
            "decimals": column.decimals,
            "format": column.format,
        }
        for column in schema.modelled
    ]
