"""Secrets that a text assigns to a key: with a sign, without one, in code, in tables and manifests."""
