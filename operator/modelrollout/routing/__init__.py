"""The traffic we want, as data, rendered for each provider. No I/O."""
