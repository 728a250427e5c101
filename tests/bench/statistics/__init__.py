"""What the evidence decides in simulated rollouts, beside the rules of others, as figures."""
