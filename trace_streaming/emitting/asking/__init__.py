"""How an orchestrator asks a human: what it asks, which tools need it, and what comes back."""
