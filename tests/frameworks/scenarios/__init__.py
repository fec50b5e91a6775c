"""Real frameworks with scripted models, by framework."""
