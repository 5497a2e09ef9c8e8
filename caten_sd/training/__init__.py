"""TrainingState: optimizer, scheduler, scaler, step and random state with a model, by name."""
