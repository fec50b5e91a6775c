"""Secrets that words give away which are no keys: of commands, protocols, code and sentences."""
