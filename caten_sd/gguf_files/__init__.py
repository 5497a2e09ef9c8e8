"""The parts of a GGUF file: its header, typed values, and the files a model is split over."""
