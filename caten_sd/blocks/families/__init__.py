"""One file per family of block types; adding a family is adding a file."""
