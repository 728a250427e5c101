"""What a rollout is and does, decided purely: no clock, no randomness, no I/O."""
