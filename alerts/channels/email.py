"""E-mail: text and HTML, over STARTTLS or TLS.

A repetition has the same Message-ID, so that a mailbox may drop it. A server that takes a message
for some of the recipients only has delivered it: sending it again would repeat it to them.
"""

import contextlib
import hashlib
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

from alerts.channel import DeliveryFailed, Limits, Receipt
from alerts.channels.answers import in_language
from alerts.message import Message
from alerts.outgoing import Outgoing, Unreachable
from alerts.texts import (
    Digest,
    Telling,
    Tone,
    footer,
    line,
    merged,
    number_row,
    plain,
    tell,
    tell_digest,
    tell_summary,
    tell_test,
)
from devices.alerts import Target

LIMITS = Limits()
WITHIN_S = 20.0  # from the name to the server's last word
RECIPIENTS_AT_MOST = 20

# Plain forms only: no quoted local parts, no comments, nothing that a header could be made of.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}"
)

_NO_SERVER = (
    "没有设置邮件服务器：由管理员设置 COURTYARD_SMTP_URL",
    "no mail server is set: an administrator sets COURTYARD_SMTP_URL",
)
_NO_TLS = (
    "邮件服务器不支持 STARTTLS，不会明文发送；更换服务器，或在地址后加 ?tls=none",
    "the mail server has no STARTTLS, and nothing is sent in clear; change it, or add ?tls=none",
)
_LOGIN = (
    "邮件服务器拒绝登录（{code}）：核对用户名与密码",
    "the mail server refuses the login ({code}): check user name and password",
)
_REFUSED = ("邮件服务器拒收（{code}）：{said}", "the mail server refuses it ({code}): {said}")
_CERTIFICATE = (
    "邮件服务器的证书不可信",
    "the mail server's certificate is not accepted",
)
_SOME = (
    "已送 {n} 人，{refused} 人被拒（{codes}）",
    "accepted for {n}, refused for {refused} ({codes})",
)


@dataclass(frozen=True, slots=True)
class Smtp:
    """The server that takes our mail. url, password: never logged.

    tls: `tls` from the first byte, `starttls` (required), or `none`, which only `?tls=none` sets.
    """

    host: str
    port: int
    tls: Literal["tls", "starttls", "none"]
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_smtp(url: str) -> Smtp:
    """smtp://user:pass@host:587 or smtps://…, with ?from=alerts@example.org. Raises ValueError.

    User and password may be percent-encoded. Without `from` the user is the sender if it is an
    address, else courtyard@host.
    """
    shape = "expected smtp://user:password@host:587?from=alerts@example.org, or smtps://…"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"mail server: {shape}") from None
    asked = parse_qs(parts.query)
    tls = asked.pop("tls", ["tls" if parts.scheme == "smtps" else "starttls"])[-1]
    senders = asked.pop("from", [])
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"mail server: {shape}")
    if asked or parts.fragment:
        raise ValueError(f"mail server: only from and tls may be asked for; {shape}")
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if (user is None) != (password is None):
        raise ValueError(f"mail server: user and password come together; {shape}")
    if tls not in ("starttls", "none") and not (tls == "tls" and parts.scheme == "smtps"):
        raise ValueError("mail server: tls is starttls or none; smtps:// is TLS by itself")
    if tls == "none" and user is not None:
        raise ValueError("mail server: without TLS no password is sent; leave user or tls=none out")
    sender = senders[-1] if senders else user if user and "@" in user else ""
    sender = sender or f"courtyard@{parts.hostname}"
    if not _ADDRESS.fullmatch(sender):
        raise ValueError(f"mail server: the sender is no address; {shape}")
    default = 465 if parts.scheme == "smtps" else 587
    kind: Literal["tls", "starttls", "none"] = (
        "tls" if parts.scheme == "smtps" else "none" if tls == "none" else "starttls"
    )
    return Smtp(parts.hostname, port or default, kind, sender, user, password)


class Email:
    """target.url: `mailto:a@b.c,d@e.f`; without secrets. smtp: None until an operator sets it."""

    limits = LIMITS

    def __init__(
        self,
        smtp: Smtp | None,
        *,
        tls: ssl.SSLContext | None = None,
        within_s: float = WITHIN_S,
    ) -> None:
        self._smtp = smtp
        self._tls = tls
        self._within_s = within_s

    def check(self, target: Target) -> None:
        recipients(target)
        if target.secrets:
            raise ValueError("secret: an e-mail target has none")

    def send(self, target: Target, message: Message, outgoing: Outgoing) -> Receipt:
        """outgoing: only finds the server, which is the operator's and may be private."""
        if self._smtp is None:
            raise DeliveryFailed(in_language(target, _NO_SERVER), permanent=True)
        try:
            people = recipients(target)
        except ValueError as error:
            raise DeliveryFailed(str(error), permanent=True) from None
        mail = write(message, self._smtp.sender, people)
        try:
            (address, *_) = outgoing.look_up(self._smtp.host, self._smtp.port)
        except (Unreachable, ValueError):
            raise DeliveryFailed("the mail server's name is not known (DNS)") from None
        said = self._hand_over(target, self._smtp, str(address), mail, people)
        return Receipt(said, len(message.notices))

    def _hand_over(
        self, target: Target, smtp: Smtp, address: str, mail: EmailMessage, people: Sequence[str]
    ) -> str:
        """What the server said. Raises DeliveryFailed."""
        server = _Server(smtp, address, self._within_s)
        over = threading.Timer(self._within_s, server.cut)
        over.start()
        try:
            context = self._tls if self._tls is not None else ssl.create_default_context()
            server.open(context)
            if smtp.user is not None and smtp.password is not None:
                server.login(smtp.user, smtp.password)
            refused = server.client.send_message(mail, smtp.sender, people)
        except smtplib.SMTPRecipientsRefused as error:
            raise self._refused(target, list(error.recipients.values())) from None
        except smtplib.SMTPNotSupportedError:
            raise DeliveryFailed(in_language(target, _NO_TLS), permanent=True) from None
        except smtplib.SMTPAuthenticationError as error:
            said = in_language(target, _LOGIN).format(code=error.smtp_code)
            raise DeliveryFailed(said, permanent=error.smtp_code >= 500) from None
        except smtplib.SMTPResponseException as error:
            raise self._refused(target, [(error.smtp_code, error.smtp_error)]) from None
        except ssl.SSLCertVerificationError:
            said = in_language(target, _CERTIFICATE)
            raise DeliveryFailed(said, permanent=True) from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            if server.is_cut:
                said = f"no answer of the mail server within {self._within_s:g} s"
                raise DeliveryFailed(said) from None
            said = f"the mail server cannot be reached ({type(error).__name__})"
            raise DeliveryFailed(said) from None
        finally:
            over.cancel()
            server.close()
        if refused:
            codes = ", ".join(sorted({str(code) for code, _ in refused.values()}))
            return in_language(target, _SOME).format(
                n=len(people) - len(refused), refused=len(refused), codes=codes
            )
        return "250"

    def _refused(self, target: Target, answers: list[tuple[int, bytes | str]]) -> DeliveryFailed:
        """Permanent if every answer is a 5xx; without addresses, which servers like to repeat."""
        code, said = max(answers, key=lambda answer: answer[0])
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        text = line(re.sub(r"\S*@\S*", "…", text), 150)
        told = in_language(target, _REFUSED).format(code=code, said=text)
        return DeliveryFailed(told, permanent=all(number >= 500 for number, _ in answers))


class _Server:
    """One conversation, which can be cut from outside when it takes too long."""

    def __init__(self, smtp: Smtp, address: str, within_s: float) -> None:
        self._smtp = smtp
        self._address = address
        self._within_s = within_s
        # smtplib would ask the resolver for it
        self._own_name = socket.gethostname() if "." in socket.gethostname() else "[127.0.0.1]"
        self.client = smtplib.SMTP(timeout=within_s, local_hostname=self._own_name)
        self.is_cut = False

    def open(self, context: ssl.SSLContext) -> None:
        if self._smtp.tls == "tls":
            self.client = smtplib.SMTP_SSL(
                timeout=self._within_s, context=context, local_hostname=self._own_name
            )
        # by this name, and not by the address, smtplib checks the certificate
        self.client._host = self._smtp.host  # type: ignore[attr-defined]
        code, said = self.client.connect(self._address, self._smtp.port)
        if self.is_cut:
            raise TimeoutError
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        if self._smtp.tls == "starttls":
            self.client.starttls(context=context)

    def login(self, user: str, password: str) -> None:
        try:
            self.client.login(user, password)
        except smtplib.SMTPNotSupportedError:
            raise smtplib.SMTPAuthenticationError(503, b"no login offered") from None

    def cut(self) -> None:
        """From another thread: whoever waits for the socket waits no longer."""
        self.is_cut = True
        connection = self.client.sock
        if connection is not None:
            with contextlib.suppress(OSError):
                # not SSLSocket's own, which would pull TLS away under the thread that reads
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.close()


def recipients(target: Target) -> list[str]:
    """The addresses of a mailto: URL. Raises ValueError, which names none of them."""
    scheme, _, rest = target.url.partition(":")
    people = [unquote(one).strip() for one in rest.split(",")]
    if scheme.lower() != "mailto" or not all(_ADDRESS.fullmatch(one) for one in people):
        raise ValueError("url: expected addresses like mailto:duty@example.org,chief@example.org")
    if len(people) > RECIPIENTS_AT_MOST:
        raise ValueError(f"url: at most {RECIPIENTS_AT_MOST} addresses; give a mailing list")
    return list(dict.fromkeys(people))


def write(message: Message, sender: str, people: Sequence[str]) -> EmailMessage:
    """The mail of a message."""
    mail = EmailMessage(policy=SMTP)
    language = message.language.value
    body, subject = _html(message)
    mail["Subject"] = line(subject, 150)
    mail["From"] = Address(footer(language), addr_spec=sender)
    mail["To"] = [Address(addr_spec=one) for one in people]
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at_ms / 1000, UTC))
    digest = hashlib.sha256(message.key.encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{digest}@{sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
    mail["Content-Language"] = "zh-CN" if language == "zh" else "en"
    mail.set_content(plain(message), cte="base64")
    mail.add_alternative(body, subtype="html", cte="base64")
    return mail


_COLOURS = {
    Tone.CRITICAL: "#b42318",
    Tone.MAJOR: "#b54708",
    Tone.MINOR: "#854a0e",
    Tone.GOOD: "#067647",
    Tone.NEUTRAL: "#175cd3",
}
_FONT = "font:15px/1.6 -apple-system,'PingFang SC','Microsoft YaHei',Segoe UI,sans-serif"


def _html(message: Message) -> tuple[str, str]:
    """The HTML, and the subject."""
    told = merged(message.notices)
    if message.summary is not None or len(told) > 1:
        digest = tell_summary(message) if message.summary else tell_digest(message, told)
        return _page(message, digest.tone, digest.headline, _digest_html(digest)), digest.headline
    telling = tell_test(message) if message.is_test else tell(message, told[0])
    page = _page(message, telling.tone, telling.headline, _single_html(telling))
    return page, f"{telling.headline} {telling.number}"


def _page(message: Message, tone: Tone, headline: str, inside: str) -> str:
    language = "zh-CN" if message.language.value == "zh" else "en"
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        f"<title>{escape(headline)}</title>"
        f'<body style="{_FONT};color:#1d2939;margin:16px;max-width:640px">'
        f'<h1 style="font-size:18px;color:{_COLOURS[tone]};margin:0 0 12px">{escape(headline)}</h1>'
        f'{inside}<p style="color:#667085;font-size:13px">'
        f"{escape(footer(message.language))}</p></body></html>"
    )


def _single_html(telling: Telling) -> str:
    rows = "".join(
        f'<tr><td style="color:#667085;padding:2px 16px 2px 0;vertical-align:top;'
        f'white-space:nowrap">{escape(label)}</td><td>{escape(text)}</td></tr>'
        for label, text in [*telling.all_rows(), number_row(telling)]
    )
    button = ""
    if telling.link is not None:
        button = (
            f'<p><a href="{escape(telling.link)}" style="display:inline-block;padding:8px 16px;'
            f"background:{_COLOURS[telling.tone]};color:#fff;text-decoration:none;"
            f'border-radius:6px">{escape(telling.button)}</a></p>'
        )
    return f'<table style="border-collapse:collapse">{rows}</table>{button}'


def _digest_html(digest: Digest) -> str:
    parts: list[str] = []
    for group in digest.groups:
        items = "".join(
            f'<li style="color:{_COLOURS[one.tone]}">{escape(one.text)} '
            + (
                f'<a href="{escape(one.link)}">{escape(one.number)}</a>'
                if one.link
                else escape(one.number)
            )
            + "</li>"
            for one in group.lines
        )
        parts.append(f'<h2 style="font-size:15px">{escape(group.title)}</h2><ul>{items}</ul>')
    return "".join(parts)
