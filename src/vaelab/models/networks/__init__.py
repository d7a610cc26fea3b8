"""Networks from any data shape to features, and from a code back to the shape: one file each.

A network is a function or class that takes the settings it names (see `models.build.inject`): any
of ``[model]``, and beside them `shape` (of the data), `inputs` (of the decoder) and `outputs` (P,
the numbers that the likelihood needs for each element). It returns, or has, the three attributes of
`Networks`.
"""

from vaelab.models.networks.conv import conv
from vaelab.models.networks.conv1d import conv1d
from vaelab.models.networks.labels import ConditionalDecoder, ConditionalEncoder
from vaelab.models.networks.layers import ACTIVATIONS, Networks, at_least_float32
from vaelab.models.networks.mlp import mlp
from vaelab.models.networks.resnet import resnet
from vaelab.models.networks.views import LogCounts, LowestLevel
from vaelab.models.networks.wide_deep import wide_deep

__all__ = [
    "ACTIVATIONS",
    "ConditionalDecoder",
    "ConditionalEncoder",
    "LogCounts",
    "LowestLevel",
    "Networks",
    "at_least_float32",
    "conv",
    "conv1d",
    "mlp",
    "resnet",
    "wide_deep",
]
