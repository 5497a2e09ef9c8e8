"""safetensors: its header and the format itself."""
