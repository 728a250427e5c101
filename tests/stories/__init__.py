"""Whole rollouts on virtual time."""
