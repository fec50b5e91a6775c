"""Tells those who do not look, by mail and by webhook, what waits for them and what has failed."""
