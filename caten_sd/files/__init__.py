"""Around checkpoint files: what a format is, which one a file has, how one is replaced whole."""
