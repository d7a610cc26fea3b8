"""Licences of weights, under the names that the Hugging Face hub has for them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from vaelab.errors import UserError, nearest

LICENCES = {  # the hub's name -> the identifier of SPDX, under which the text is found
    "mit": "MIT",
    "apache-2.0": "Apache-2.0",
    "bsd-3-clause": "BSD-3-Clause",
    "cc0-1.0": "CC0-1.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "gpl-3.0": "GPL-3.0-only",
    "agpl-3.0": "AGPL-3.0-only",
    "mpl-2.0": "MPL-2.0",
    "unlicense": "Unlicense",
}
NONE = "none"  # nobody has chosen one yet
UNCHOSEN = """\
No licence has been chosen for these weights: all rights are reserved by those who trained them.
Whoever publishes them writes the licence into this file and into the header of README.md.
"""
NOTICE = """\
The weights and the other files of this folder are licensed under {spdx}.

SPDX-License-Identifier: {spdx}

The text of the licence: https://spdx.org/licenses/{spdx}.html
"""


class Licence(NamedTuple):
    """A licence: its fields in the header of a card, its name for people, and the file LICENSE."""

    header: dict[str, str]
    name: str
    text: str


def licence_of(name: str) -> Licence:
    """Return the licence of a name in `LICENCES`, of a file with its text, or "none".

    Raises:
        UserError: There is no such licence or file.
    """
    if name == NONE:
        header = {"license": "other", "license_name": "all-rights-reserved"}
        return Licence(header | {"license_link": "LICENSE"}, "", UNCHOSEN)
    if name in LICENCES:
        spdx = LICENCES[name]
        return Licence({"license": name}, spdx, NOTICE.format(spdx=spdx))
    path = Path(name)
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError):
        hint = nearest(name, [*LICENCES, NONE], "")
        raise UserError(f"license: there is no {name}; {hint}, or a file with its text") from None
    title = path.stem.lower().replace(" ", "-")
    return Licence(
        {"license": "other", "license_name": title, "license_link": "LICENSE"}, title, text
    )
