"""The demo: four model releases on a real control plane, with real models and real traffic."""
