"""What stops a run: somebody asks, and the agent learns of it where it looks."""
