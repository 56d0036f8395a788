"""A mail server that keeps what it gets."""

from __future__ import annotations

import socket
from typing import Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Postbox:
    """Serves while the block runs. ``mails``: each as its receivers and its whole text, in order of arrival."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        with socket.create_server((self.host, 0)) as free:
            self.port: int = free.getsockname()[1]
        self.mails: list[tuple[tuple[str, ...], str]] = []
        self._controller = Controller(self, hostname=self.host, port=self.port)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """What aiosmtpd calls for each mail."""
        text = envelope.content or ""
        self.mails.append((tuple(envelope.rcpt_tos), text if isinstance(text, str) else text.decode()))
        return "250 OK"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._controller.stop()
