"""Loading a state dict into an object: plan, moves, report; the verbs are in ``load.py``."""
