"""One file per checkpoint format; adding a format is adding a file."""
