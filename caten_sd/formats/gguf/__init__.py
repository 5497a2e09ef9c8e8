"""GGUF: its header, typed values, split files and the format itself."""

from caten_sd.formats.gguf.format import Gguf

__all__ = ["Gguf"]
