"""How long a plan takes to answer its questions, before anything is moved."""
