"""The two files of an evaluation: numbers as JSON, and the values of each image as arrays."""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from vaelab.evaluation.metrics.estimates import Estimate

Section = dict[str, Any]
Protocol = dict[str, Any]


def digest(protocol: Protocol) -> str:
    """Return the first eight hexadecimal digits of the SHA-256 of a protocol."""
    return hashlib.sha256(json.dumps(protocol, sort_keys=True).encode()).hexdigest()[:8]


def load(path: Path) -> tuple[Protocol, dict[str, Section]] | None:
    """Return the protocol (without K) and the sections of a file; None if it is damaged."""
    try:
        document = json.loads(path.read_text("utf-8"))
        protocol = document["protocol"]
        _ = protocol["weights"], protocol["images"], protocol["seed"]
        with np.load(io.BytesIO(path.with_suffix(".npz").read_bytes())) as columns:
            each = dict(columns)
        if str(each.pop("protocol", digest(protocol))) != digest(protocol):
            return None
        sections = {
            name: {key: _revived(value, each, f"{name}.{key}") for key, value in section.items()}
            for name, section in document["sections"].items()
            if all(isinstance(note, str) for note in section["notes"])
        }
        return protocol, sections
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile):
        return None


def encoded(protocol: Protocol, sections: dict[str, Section]) -> tuple[bytes, bytes]:
    """Return the contents of the .npz file and of the .json file."""
    columns: dict[str, Any] = {
        f"{name}.{key}": value.each
        for name, section in sections.items()
        for key, value in section.items()
        if isinstance(value, Estimate) and value.each is not None
    }
    buffer = io.BytesIO()
    np.savez(buffer, protocol=np.array(digest(protocol)), **columns)
    document = {"protocol": protocol, "sections": plain(sections)}
    return buffer.getvalue(), (json.dumps(document, indent=2) + "\n").encode()


def rounded(sections: dict[str, Section]) -> dict[str, Section]:
    """Return the sections as read back from a file, so that a later call returns the same."""
    return {
        name: {
            key: _revived(
                plain(value),
                {key: value.each} if isinstance(value, Estimate) and value.each is not None else {},
                key,
            )
            for key, value in section.items()
        }
        for name, section in sections.items()
    }


def plain(value: Any) -> Any:
    """Convert to JSON types: `Estimate` to value and error, 9 significant digits, NaN to null."""
    match value:
        case Estimate():
            return {"value": plain(value.value), "error": plain(value.error)}
        case dict():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case float():
            return float(f"{value:.9g}") if math.isfinite(value) else None
        case _:
            return value


def _revived(value: Any, each: dict[str, NDArray[np.float64]], name: str) -> Any:
    if isinstance(value, dict) and value.keys() == {"value", "error"}:
        number, error = (
            None if one is None else float(one) for one in (value["value"], value["error"])
        )
        return Estimate(cast(float, number), error, each.get(name))  # value is None for NaN
    if isinstance(value, dict):
        return {key: _revived(inner, each, "") for key, inner in value.items()}
    return value
