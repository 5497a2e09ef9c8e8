"""Layouts as data, one file per architecture; a Layout in a file here can be found by its name."""
