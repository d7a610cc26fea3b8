"""The latent explorer: a page in which the encoder and the decoder of a run work."""

from vaelab.report.explorer.page import Explorer, explore, write

__all__ = ["Explorer", "explore", "write"]
