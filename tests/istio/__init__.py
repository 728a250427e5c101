"""Istio's own control plane with a plain Envoy as its gateway: VirtualServices that are obeyed."""
