"""Data: the metrics of known servers and gateways, one YAML file each."""
