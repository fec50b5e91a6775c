"""Projects of others: small settings modules, each of which is served and visited as the demonstration is."""
