"""Layouts: how one is declared, proved, detected and applied; the layouts are in ``layouts/``."""
