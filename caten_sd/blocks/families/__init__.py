"""One file for each family of block types."""
