"""Live objects: their slots, how a value gets into a slot, and which processes share one."""
