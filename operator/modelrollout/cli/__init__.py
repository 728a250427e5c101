"""The command line: what people and pipelines do with a rollout, beside kubectl."""
