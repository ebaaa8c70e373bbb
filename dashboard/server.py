"""The server of the pages: streamlit's own, which no other site may frame, and which ends with us.

Started by ``dashboard.launch`` as `streamlit run dashboard/server.py`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.starlette import App

from dashboard.launch import LIFELINE

STOP_PATIENCE_S = 5.0
HEADERS = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class SafeHeaders:
    """Adds ``HEADERS`` to every answer over HTTP."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def end_with_starter() -> None:
    """Wait until standard input closes, then stop the server; politely first."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_PATIENCE_S)
    os.kill(os.getpid(), signal.SIGKILL)


if os.environ.pop(LIFELINE, ""):
    threading.Thread(target=end_with_starter, name="lifeline", daemon=True).start()

app = App(Path(__file__).with_name("app.py"), middleware=[Middleware(SafeHeaders)])
