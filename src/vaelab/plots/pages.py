"""The pages that a user asks for by a command, as files: samples, and reconstructions."""

from __future__ import annotations

from torch import Tensor

from vaelab.plots import images, series
from vaelab.plots.gallery import samples_page
from vaelab.plots.pixels import signals
from vaelab.plots.style import Format, encode, plain
from vaelab.plots.view import displayed, look_of, sample_title
from vaelab.runs import Run


def sampled(run: Run, x: Tensor, label: str, kind: Format) -> bytes:
    """Return a page of samples x (N, *shape) of the prior, or of one class where it is named."""
    look = look_of(run)
    if run.form == "signal":
        page = series.signals(signals(x.numpy()), look=look, title=sample_title(run))
    elif label:
        title = f"{look.text('samples')}, {look.text('class')} {plain(label, 24)}"
        page = images.samples(displayed(run, x), look=look, title=title)
    else:
        page = samples_page(run, x)
    return encode(page, kind)


def reconstructed(run: Run, x: Tensor, again: Tensor, kind: Format) -> bytes:
    """Return a page of rows x (N, *shape) beside their reconstructions."""
    look = look_of(run)
    if run.form == "signal":
        page = series.signal_pairs(signals(x.numpy()), signals(again.numpy()), look=look)
    else:
        page = images.reconstructions(displayed(run, x), displayed(run, again), look=look)
    return encode(page, kind)
