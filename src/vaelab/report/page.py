"""What all pages have in common: one HTML file with its data, its script and nothing else.

A page carries a JSON document and one block of deflated bytes with all arrays, which
web/src/shared/payload.ts reads. Its content security policy allows exactly the one script that
comes with vaelab, by its hash, and no request: a name in a run folder cannot become code, and the
page works without a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from vaelab.language import Lang, text, texts

Ref = dict[str, Any]  # the place of an array in the bytes of a page: `Ref` of payload.ts

POLICY = (
    "default-src 'none'; {script}style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
_TOP = 32767  # the largest 16-bit integer


class Arrays:
    """The arrays of a page, in one block of bytes; the document holds their `Ref`s."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, array: NDArray[Any]) -> Ref:
        """Add an array: uint8 and int16 as they are, all other types as float32."""
        kept = array.dtype if array.dtype in (np.uint8, np.int16) else np.dtype(np.float32)
        values = np.ascontiguousarray(array, kept.newbyteorder("<"))
        payload = values.tobytes()
        place = {"dtype": kept.name, "shape": list(array.shape), "offset": self._size}
        payload += b"\0" * (-len(payload) % 4)
        self._parts.append(payload)
        self._size += len(payload)
        return place

    def fixed(self, array: NDArray[Any]) -> Ref:
        """Add an array as 16-bit fixed point with a scale for each row of its first axis.

        The error of an element is at most 1/65534 of the largest magnitude of its row.
        """
        stored, scale = fixed_point(array)
        return self.add(stored) | {"scale": self.add(scale)}

    def packed(self) -> str:
        """The bytes of all arrays, deflated, in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._parts), 6)).decode()


def fixed_point(array: NDArray[Any]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return an array (R, ...) as 16-bit integers and the scale (R,) of each row."""
    rows = np.asarray(array, np.float64).reshape(len(array), -1)
    top = np.abs(rows).max(1, initial=0)
    scale = (np.where(top > 0, top, 1) / _TOP).astype(np.float32)
    stored = np.rint(rows / scale[:, None]).clip(-_TOP, _TOP).astype(np.int16)
    return stored.reshape(array.shape), scale


def render(
    template: str,
    document: dict[str, Any],
    arrays: Arrays,
    *,
    script: str,
    lang: Lang,
    **context: Any,
) -> str:
    """Return a page: the template `template`.html with its document, arrays and script.

    Args:
        template: The name of a template that extends base.html.
        document: What the script needs, as JSON types; `lang` and `texts` are added.
        arrays: The arrays that the document refers to.
        script: The name of the script in static/.
        lang: The language that the page opens in.
        context: The variables of the template. It can call `t(key, **values)` for a text.
    """
    code = files("vaelab.report").joinpath("static", f"{script}.js").read_text("utf-8")
    whole = document | {"lang": lang, "texts": texts(template)}
    return static(
        template,
        lang,
        code=Markup(code),  # ours; `build.mjs` and a test see to it that it holds no </script
        json=Markup(embedded(whole)),
        bytes=arrays.packed(),
        **context,
    )


def static(template: str, lang: Lang, *, code: str = "", **context: Any) -> str:
    """Return a page like `render`, but without a script unless its `code` is given."""

    def t(key: str, **values: object) -> str:
        return text(template, key, lang, **values)

    found = context | {"t": t, "lang": lang, "policy": policy(code), "code": code}
    return _environment().get_template(f"{template}.html").render(found)


def policy(code: str) -> str:
    """Return the content security policy that allows this script, if any, and no request."""
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return POLICY.format(script=f"script-src 'sha256-{digest}'; " if code else "")


def embedded(document: Any) -> str:
    r"""Return JSON that can stand inside a script element: it holds no `<`, `>` or `&`.

    >>> embedded({"name": "</script>"})
    '{"name":"\\u003c/script\\u003e"}'
    """
    dumped = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        dumped = dumped.replace(character, f"\\u{ord(character):04x}")
    return dumped


def finite(value: Any) -> Any:
    """The same value without NaN and infinities, which JSON does not have."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [finite(inner) for inner in value]
        case _:
            return value


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("vaelab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
