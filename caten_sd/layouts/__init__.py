"""Layouts, one file per architecture, data only: every Layout in a file here is known by name."""
