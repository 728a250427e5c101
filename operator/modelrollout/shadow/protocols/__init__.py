"""What servers speak: bytes of one answer in, the values of its instances out, one module each.

A batch of k instances is k predictions (`<id>#0` to `<id>#k-1`). The core is fed by fronts.
"""
