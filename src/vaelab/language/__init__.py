"""The texts that figures and pages show, in English and in Brazilian Portuguese.

One catalogue of several TOML files, one file a kind of page: each key holds the text in both
languages, with {slots} for values.
"""

from vaelab.language.catalogue import (
    TEXTS,
    Lang,
    Said,
    decimal,
    local,
    number,
    of_rows,
    text,
    texts,
)

__all__ = ["TEXTS", "Lang", "Said", "decimal", "local", "number", "of_rows", "text", "texts"]
