"""Benchmarks: every row beside its peers, in one run that anyone can repeat (``make bench``)."""
