"""One file or folder per foreign package, named after it and imported with its first object."""
