"""What attackers and carelessness must not get."""
