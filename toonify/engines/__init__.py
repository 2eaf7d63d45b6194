"""What draws: one module an engine."""
