"""What may be held at once: so many requests, so many bytes. Who finds no room is told at once."""

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """Room for requests and for the bytes of their bodies.

    Attributes:
        most_requests, most_bytes: that are held at once.
        requests, held_bytes: that are held now.
        highest_bytes: that were ever held at once.
    """

    most_requests: int
    most_bytes: int
    requests: int = 0
    held_bytes: int = 0
    highest_bytes: int = 0

    def claim(self) -> "Claim | None":
        """Room for one more request, or None; to be released by whoever got it."""
        if self.requests >= self.most_requests:
            return None
        self.requests += 1
        return Claim(self)


@dataclass(slots=True)
class Claim:
    """One request's part of the budget."""

    budget: Budget
    held_bytes: int = 0
    released: bool = False

    def grow(self, size: int) -> bool:
        """Whether there is room for `size` bytes more, and if so they are held."""
        budget = self.budget
        if budget.held_bytes + size > budget.most_bytes:
            return False
        budget.held_bytes += size
        budget.highest_bytes = max(budget.highest_bytes, budget.held_bytes)
        self.held_bytes += size
        return True

    def release(self) -> None:
        """Give everything back; once, however often it is called."""
        if self.released:
            return
        self.released = True
        self.budget.requests -= 1
        self.budget.held_bytes -= self.held_bytes
