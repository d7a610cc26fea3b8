"""The model card of a run: a folder that a model hub takes as it is."""

from vaelab.report.modelcard.licences import LICENCES, NONE, licence_of
from vaelab.report.modelcard.page import build

__all__ = ["LICENCES", "NONE", "build", "licence_of"]
