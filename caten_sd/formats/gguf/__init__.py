"""GGUF: its header, typed values, split files and the format itself."""
