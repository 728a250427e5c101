"""The router's configuration in a real Envoy on loopback, fed by the real discovery endpoint."""
