"""Logs as JSON lines on standard output: one object per line, fields instead of prose to parse."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

_OWN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_LONGEST: Final = 2000


class Lines(logging.Formatter):
    """Renders a record as one JSON line; control characters are escaped by JSON itself."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        extra = {key: value for key, value in record.__dict__.items() if key not in _OWN}
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage()[:_LONGEST],
            **extra,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up(level: int = logging.INFO) -> None:
    """Our own lines at `level`, those of libraries from warnings on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("modelrollout").setLevel(level)
    # It says for each watched object that a handler succeeded.
    logging.getLogger("kopf.objects").setLevel(logging.ERROR)
