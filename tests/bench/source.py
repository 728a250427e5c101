"""A metric source that answers every look in 20 ms: counters of two equal versions, for ever."""

import asyncio
import re
import time
from typing import Any, Final

from aiohttp import web

DELAY_S: Final = 0.02
PER_S: Final = 10.0
ERRORS: Final = 0.005
_PART: Final = re.compile(r'@ ([0-9.]+)[^@]*?"__part__","(\d+)([ser])"')


class Source:
    """The server; counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._base = time.time() - 3600.0
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        """Listens on loopback; gives the address."""
        app = web.Application()
        app.router.add_post("/api/v1/query", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Listens no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        query = str((await request.post())["query"])
        result = [
            self._series(float(at), int(number), when)
            for at, number, when in _PART.findall(query)
            if when != "r"
        ]
        await asyncio.sleep(DELAY_S)
        data = {"resultType": "vector", "result": result}
        return web.json_response({"status": "success", "data": data})

    def _series(self, at: float, number: int, when: str) -> dict[str, Any]:
        total = int((at - self._base) * PER_S)
        # Parts come in pairs: the events of a metric, then all its trials.
        value = int(total * ERRORS) if number % 2 == 0 else total
        labels = {"__part__": f"{number}{when}", "instance": "10.0.0.1:8080", "job": "fraud"}
        return {"metric": labels, "value": [at, str(value)]}
