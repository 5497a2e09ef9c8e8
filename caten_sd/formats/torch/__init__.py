"""torch's formats: its zip, the older ones, and distributed checkpoints."""

from caten_sd.formats.torch.dcp import Dcp
from caten_sd.formats.torch.legacy import TorchLegacy
from caten_sd.formats.torch.zip import TorchZip

__all__ = ["Dcp", "TorchLegacy", "TorchZip"]
