"""Mail through real SMTP servers: plain, with STARTTLS and a login, dead, slow, refusing, and under a storm."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from callsheet.domain.callback import PluginKey
from callsheet.logs.mail_handler import MailHandler
from callsheet.logs.mail_message import MailMessage
from callsheet.logs.mailer import MOST_WAITING, Mailer
from callsheet.services.heartbeat import MailHealth
from callsheet.settings import MailSettings, Secret
from callsheet.telemetry import emit, recording
from tests.support.waiting import until

TD = "td@studio.test"
HELD_BACK = 30.0  # seconds that a test waits for a fact at most


class Mailbox:
    """aiosmtpd's handler: keeps what arrives; refuses addresses that begin with ``nobody``, and answers nobody while ``shut``."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self.mails: list[EmailMessage] = []
        self.encrypted: list[bool] = []
        self.logins: list[Any] = []
        self.busy_for = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.busy_for:
            self.busy_for -= 1
            return "451 busy, come back"
        with self._arrived:
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type] # bytes by default
            self.encrypted.append(session.ssl is not None)
            self._arrived.notify_all()
        return "250 OK"

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"sesame", handled=False)

    def wait_for(self, count: int) -> list[EmailMessage]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.mails) >= count, HELD_BACK), f"{len(self.mails)} of {count} mails came"
            return list(self.mails)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def server(mailbox: Mailbox) -> Iterator[Controller]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def tls_server(mailbox: Mailbox, tmp_path: Path) -> Iterator[Controller]:
    """Wants STARTTLS and a login, and shows a certificate that it signed itself."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=mail.studio.test"]
    subprocess.run([*make, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=mailbox.login,
        auth_required=True,
    )
    controller.start()
    yield controller
    controller.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def settings(port: int, **more: Any) -> MailSettings:
    return MailSettings("127.0.0.1", "sg@studio.test", (TD,), "[SG]", port=port, **{"fold": 60.0, **more})


def failure(text: str = "boom", name: str = "engine", level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, "/x/p.py", 3, text, None, None, "cb")


def letter(text: str) -> MailMessage:
    return MailMessage.of(failure(text), (TD,))


def words(number: int) -> str:
    """A text for each number that holds no digit, so that no two are taken for the same error."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def test_error_is_mailed_with_headers_and_body(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port))
    mail(failure("Échec: " + "very long " * 500, "plugin.p.cb", logging.CRITICAL), PluginKey("s", "p"))
    (arrived,) = mailbox.wait_for(1)
    mail.close()

    assert (arrived["Subject"], arrived["To"]) == ("[SG] CRITICAL - SG event daemon.", TD)
    assert "Logger: plugin.p.cb\nPath: /x/p.py\nFunction: cb\nLine: 3\n\nÉchec: very long" in arrived.get_content().replace(
        "\r\n", "\n"
    )
    assert len(mailbox.mails) == 1


def test_starttls_and_login_with_a_certificate_of_the_studio_s_own(mailbox: Mailbox, tls_server: Controller) -> None:
    mail = MailHandler(settings(tls_server.port, tls=True, username="daemon", password=Secret("sesame")))
    mail(failure(), None)
    mailbox.wait_for(1)
    mail.close()

    assert mailbox.encrypted == [True]
    assert mailbox.logins == [(b"daemon", b"sesame")]


def test_wrong_password_is_said_and_the_mail_waits(mailbox: Mailbox, tls_server: Controller) -> None:
    mail = MailHandler(settings(tls_server.port, tls=True, username="daemon", password=Secret("open")))
    with recording("mail.failed") as heard:
        mail(failure(), None)
        failed = heard.wait_for("mail.failed").facts
    mail.close(grace=5.0)

    assert failed["error"].startswith("535 ")
    assert failed["waiting"] == 1
    assert "open" not in str(failed)
    assert mailbox.mails == []


def test_password_is_not_sent_to_a_server_that_offers_no_encryption(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port, tls=True, username="daemon", password=Secret("sesame")))
    with recording("mail.failed") as heard:
        mail(failure(), None)
        error = heard.wait_for("mail.failed").facts["error"]
    mail.close()

    assert "STARTTLS" in error
    assert mailbox.logins == []


def test_tls_without_a_user_name_is_no_demand(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port, tls=True))
    mail(failure(), None)
    mailbox.wait_for(1)
    mail.close()

    assert mailbox.encrypted == [False]


def test_dead_server_is_said_and_the_mail_comes_once_it_lives(mailbox: Mailbox) -> None:
    port = free_port()
    mail = MailHandler(settings(port), first_wait=0.05)
    with recording("mail.failed") as heard:
        mail(failure(), None)
        failed = heard.wait_for("mail.failed", count=2).facts
    assert (failed["server"], failed["waiting"]) == (f"127.0.0.1:{port}", 1)

    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    mailbox.wait_for(1)
    mail.close()
    controller.stop()
    assert len(mailbox.mails) == 1


def test_mails_that_can_not_be_sent_are_a_condition_until_one_gets_through(mailbox: Mailbox) -> None:
    port = free_port()
    health = MailHealth(clock=lambda: 7.0)
    mail = MailHandler(settings(port), first_wait=0.05)
    assert health.conditions() == []
    with recording("mail.failed") as heard:
        mail(failure(), None)
        heard.wait_for("mail.failed", count=2)
    (found,) = health.conditions()
    assert (found.kind, found.place, found.since) == ("mail", f"127.0.0.1:{port}", 7.0)
    assert f"can't be sent through 127.0.0.1:{port} (1 wait): " in found.what

    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    mailbox.wait_for(1)
    until(lambda: health.conditions() == [])
    mail.close()
    health.close()
    controller.stop()


def test_silent_server_holds_up_nobody_and_the_queue_stays_bounded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mailer = Mailer(settings(silent.getsockname()[1]))
        mailer.offer(letter("first"))
        connection, _ = silent.accept()  # the post is inside the conversation, and no word ever comes
        for number in range(MOST_WAITING * 5):
            mailer.offer(letter(words(number)))
        # All offers have returned while the server still says nothing.
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        assert len(mailer._waiting) == MOST_WAITING
        assert mailer._waiting[-1].text == words(MOST_WAITING * 5 - 1)
        assert mailer._lost == MOST_WAITING * 4 + 1  # the first is not sent either
        with recording("mail.failed") as recorder:
            mailer.close(grace=0.01)
        assert "were not sent before the end" in recorder.named("mail.failed")[-1].facts["error"]
        connection.close()


def test_dropped_mails_are_counted_in_the_next_that_goes(mailbox: Mailbox) -> None:
    port = free_port()
    mailer = Mailer(settings(port), first_wait=0.05)
    for number in range(MOST_WAITING + 10):
        mailer.offer(letter(words(number)))
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    mails = mailbox.wait_for(MOST_WAITING)
    mailer.close(grace=HELD_BACK)
    controller.stop()

    assert mails[0].get_content().startswith("10 earlier mails were dropped")
    assert not mails[1].get_content().startswith("10 earlier")
    assert words(MOST_WAITING + 9) in mails[-1].get_content()


def test_storm_of_a_thousand_is_one_mail_at_once_and_one_with_the_count(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port, fold=1.5))
    for number in range(1000):
        mail(failure(f"An error occured processing an event.\n\nevent {number}"), None)
    first, summary = mailbox.wait_for(2)
    mail.close()

    assert first["Subject"] == "[SG] ERROR - SG event daemon."
    assert summary["Subject"] == "[SG] ERROR - SG event daemon. (999 more)"
    assert "event 999" in summary.get_content()
    assert len(mailbox.mails) == 2


def test_close_sends_what_is_folded(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port))
    for _ in range(3):
        mail(failure(), None)
    mail.close(grace=HELD_BACK)

    assert [one["Subject"].partition("daemon.")[2] for one in mailbox.mails] == ["", " (2 more)"]


def test_refused_address_is_said_and_does_not_block_the_others(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port))
    with recording("mail.failed") as heard:
        emit("plugin.emails", site="s", plugin="p", emails=["nobody@studio.test"])
        emit("plugin.emails", site="s", plugin="q", emails=["nobody@studio.test", "q@studio.test"])
        emit("plugin.emails", site="s", plugin="r", emails=["no address at all\n"])
        for name in "pqr":
            mail(failure(name=f"plugin.{name}"), PluginKey("s", name))
        mail(failure(), None)
        mailbox.wait_for(2)
    mail.close(grace=HELD_BACK)

    errors = [signal.facts["error"] for signal in heard.named("mail.failed")]
    assert len(errors) == 3
    assert "nobody@studio.test: 550 no such user here" in errors[0]
    assert errors[1] == "refused for nobody@studio.test, delivered to the others"
    assert "dropped" in errors[2]
    assert ["Logger: engine" in one.get_content() for one in mailbox.mails] == [False, True]


def test_busy_server_gets_the_mail_again(mailbox: Mailbox, server: Controller) -> None:
    mailbox.busy_for = 2
    mail = MailHandler(settings(server.port), first_wait=0.05)
    with recording("mail.failed") as heard:
        mail(failure(), None)
        mailbox.wait_for(1)
    mail.close(grace=HELD_BACK)

    assert [signal.facts["error"] for signal in heard.named("mail.failed")] == ["451 busy, come back"] * 2
    assert len(mailbox.mails) == 1


def test_plugin_decides_whom_its_mails_go_to(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port))

    def mailed_to(emails: object) -> str | None:
        plugin = PluginKey("s", str(len(plugins)))
        plugins.append(plugin)
        if emails is not None:
            emit("plugin.emails", site="s", plugin=plugin.name, emails=emails)
        mail(failure(name=f"plugin.{plugin.name}.cb"), plugin)
        mail(failure("mark", name=f"plugin.{plugin.name}.mark"), None)
        count = len(mailbox.mails)
        while "mark" not in mailbox.wait_for(count + 1)[-1].get_content():
            count += 1
        own = [one for one in mailbox.mails if f"Logger: plugin.{plugin.name}.cb" in one.get_content()]
        return own[0]["To"] if own else None

    plugins: list[PluginKey] = []
    assert mailed_to(None) == TD
    assert mailed_to(True) == TD
    assert mailed_to(False) is None
    assert mailed_to(["a@studio.test", "b@studio.test"]) == "a@studio.test, b@studio.test"
    assert mailed_to([]) is None
    mail.close()


def test_own_addresses_hold_for_a_failed_reload_and_end_when_no_longer_named(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port, fold=0.0))
    plugin = PluginKey("s", "p")
    facts = {"site": "s", "plugin": "p", "path": "/x/p.py"}
    emit("plugin.loading", **facts)
    emit("plugin.emails", site="s", plugin="p", emails=["own@studio.test"])
    emit("plugin.ready", **facts)
    emit("plugin.reloading", **facts)
    mail(failure("does not load", "plugin.p"), plugin)
    emit("plugin.reloading", **facts)
    emit("plugin.ready", **facts)
    mail(failure("loads again, without setEmails", "plugin.p"), plugin)
    mails = mailbox.wait_for(2)
    mail.close()

    assert [one["To"] for one in mails] == ["own@studio.test", TD]


def test_library_inside_a_plugin_is_not_mailed(mailbox: Mailbox, server: Controller) -> None:
    mail = MailHandler(settings(server.port))
    mail(failure(name="requests"), PluginKey("s", "p"))
    mail(failure(), None)
    mail.close(grace=HELD_BACK)

    assert ["Logger: engine" in one.get_content() for one in mailbox.mails] == [True]
