"""What a load is made of; the verbs are in ``caten_sd/load.py``."""
