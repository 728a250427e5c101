"""The observer as a process, with real model servers and a real Envoy on loopback."""
