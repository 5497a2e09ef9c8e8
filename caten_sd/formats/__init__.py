"""Checkpoint formats: one file or folder each, found by discovery."""
