"""Do both models say the same? The pure core of the shadow: answers in, numbers that add up out.

The core is fed by fronts (a tee, a mirror's comparer, a joiner of logs), which own sockets, clocks,
queues and registries. Nothing here does I/O, reads a clock or keeps a body.
"""
