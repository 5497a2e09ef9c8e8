"""Find the format of a checkpoint, choose its tree; read, write and convert it."""
