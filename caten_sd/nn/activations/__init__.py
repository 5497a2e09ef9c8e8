"""Activations: functions as models, so that a sequence can hold them and they have options."""
