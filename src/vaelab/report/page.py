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
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vaelab.export import Arrays
from vaelab.language import Lang, text, texts

POLICY = (
    "default-src 'none'; {script}style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)


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
    return environment().get_template(f"{template}.html").render(found)


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
def environment(escape: bool = True) -> Environment:
    """Return the templates; those of HTML escape what they show, those of plain text do not."""
    return Environment(
        loader=PackageLoader("vaelab.report"),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
