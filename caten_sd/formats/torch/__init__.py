"""torch's formats: its zip, the older ones, and distributed checkpoints."""
