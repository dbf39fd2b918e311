"""A mail server of one conversation at a time, on a real socket, that says what it is told to."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.alerts.listening import PEM


@dataclass
class MailServer:
    """answers: by verb, instead of the usual ones; "CONNECT" is the greeting, "." the end of a
    mail, and None hangs. offers: what EHLO lists.
    """

    answers: Mapping[str, str | None] = field(default_factory=dict)
    offers: tuple[str, ...] = ("STARTTLS", "AUTH PLAIN")
    is_tls: bool = False
    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            try:
                if self.is_tls:
                    connection = _tls().wrap_socket(connection, server_side=True)
                self._talk(connection)
            except OSError:
                connection.close()  # the other side gave up

    def _talk(self, connection: socket.socket) -> None:
        """Until either side has had enough; closes it."""
        with ExitStack() as closing:
            self._converse(connection, closing)

    def _converse(self, connection: socket.socket, closing: ExitStack) -> None:
        closing.enter_context(connection)
        lines = connection.makefile("rb")
        if not self._say(connection, "CONNECT", "220 mail.example.test ESMTP"):
            return
        while line := lines.readline():
            words = line.decode().strip()
            verb = words.split(" ")[0].upper()
            self.commands.append(verb)
            match verb:
                case "EHLO":
                    listed = ["mail.example.test", *self.offers]
                    rows = [f"250-{one}" for one in listed[:-1]] + [f"250 {listed[-1]}"]
                    usual = "\r\n".join(rows)
                case "STARTTLS":
                    usual = "220 go on"
                case "AUTH":
                    self.logins.append(base64.b64decode(words.split(" ")[2]))
                    usual = "235 welcome"
                case "RCPT":
                    self.recipients.append(words)
                    usual = self.answers.get(words.partition("<")[2].rstrip(">")) or "250 ok"
                case "DATA":
                    usual = "354 go on"
                case "QUIT":
                    usual = "221 bye"
                case _:
                    usual = "250 ok"
            if not self._say(connection, verb, usual):
                return
            if verb == "STARTTLS" and "STARTTLS" not in self.answers:
                connection = _tls().wrap_socket(connection, server_side=True)
                closing.enter_context(connection)
                lines = connection.makefile("rb")
            if verb == "DATA" and "DATA" not in self.answers:
                self.mails.append(_mail(lines))
                if not self._say(connection, ".", "250 queued"):
                    return
            if verb == "QUIT":
                return

    def _say(self, connection: socket.socket, verb: str, usual: str) -> bool:
        answer = self.answers.get(verb, usual)
        if answer is None:
            self.over.wait(5)
            return False
        connection.sendall(f"{answer}\r\n".encode())
        return True


def _mail(lines: object) -> bytes:
    received = b""
    while (line := lines.readline()) not in (b".\r\n", b""):  # type: ignore[attr-defined]
        received += line.removeprefix(b".") if line.startswith(b"..") else line
    return received


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


@contextmanager
def mail_server(**settings: object) -> Iterator[MailServer]:
    server = MailServer(**settings)  # type: ignore[arg-type]
    listener = socket.create_server(("127.0.0.1", 0))
    server.port = listener.getsockname()[1]
    thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
