"""Pages of docs/ that make statements about the engine."""
