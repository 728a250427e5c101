"""What the router's Envoys ask for: thin serving of stored decisions, by every replica."""
