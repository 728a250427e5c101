"""One line on how far a long step is: rewritten in place on a terminal, repeated elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PLAIN_INTERVAL_S = 15.0
_TERMINAL_INTERVAL_S = 0.5


def say(text: str) -> None:
    """Print one line of news on standard error, at once."""
    print(f"[cluster] {text}", file=sys.stderr, flush=True)


@contextmanager
def reported(describe: Callable[[], str]) -> Iterator[None]:
    """While the body runs, show `describe()` with the time passed, never silent for 15 s."""
    done = threading.Event()
    reporter = threading.Thread(target=_report, args=(describe, done), daemon=True)
    reporter.start()
    try:
        yield
    finally:
        done.set()
        reporter.join()


def _report(describe: Callable[[], str], done: threading.Event) -> None:
    started = time.monotonic()
    terminal = sys.stderr.isatty()
    while not done.wait(_TERMINAL_INTERVAL_S if terminal else _PLAIN_INTERVAL_S):
        line = f"{_clock(time.monotonic() - started)}  {describe()}"
        if terminal:
            print(f"\r\x1b[K[cluster]   {line}", end="", file=sys.stderr, flush=True)
        else:
            say(f"  {line}")
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
