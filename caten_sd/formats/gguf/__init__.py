"""GGUF: its header, typed values, split files and the format itself."""

from caten_sd.formats.gguf.container import Gguf

__all__ = ["Gguf"]
