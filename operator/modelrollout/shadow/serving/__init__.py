"""The observer: sockets, clocks and a bounded memory around the pure core of comparing.

Fronts receive copies of requests, `taking` takes them or drops them with a reason, `comparing` asks
the models and settles the pairs, `ledger` keeps what `/metrics` shows. Nothing here is in the path
of a user's answer.
"""
