"""One module per task: how its prediction is read, and how two of them are compared.

The core is fed by fronts.
"""
