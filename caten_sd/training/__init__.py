"""What it takes to go on training: optimizer, scheduler, scaler, step and chance, by name."""
