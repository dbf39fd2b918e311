"""E-mail over real sockets: TLS, what servers refuse, and what a mail looks like."""

import email
import email.policy
import ssl
import time
from email.message import EmailMessage

import pytest

from alerts.channel import DeliveryFailed, Receipt
from alerts.channels.email import Email, Smtp, parse_smtp, recipients, write
from alerts.message import Message
from alerts.outgoing import Allowed, Outgoing
from devices.alerts import Target
from devices.registry import Name
from tests.alerts.cast import a_message, a_notice, a_target, a_test, many
from tests.alerts.listening import PEM
from tests.alerts.mail_server import MailServer, mail_server

PEOPLE = "mailto:duty@example.org,chief@example.org"
HOST = "hooks.example.test"


def to_mail() -> Outgoing:
    """The mail server's name leads here."""
    return Outgoing(Allowed(), resolve=lambda host, port: ["127.0.0.1"] if host == HOST else [])


def send(
    server: MailServer,
    message: Message | None = None,
    *,
    scheme: str = "smtp",
    login: str = "courtyard%40example.org:s3cret%2F@",
    query: str = "",
    within_s: float = 5.0,
    target: Target | None = None,
) -> Receipt:
    smtp = parse_smtp(f"{scheme}://{login}{HOST}:{server.port}{query}")
    channel = Email(smtp, tls=ssl.create_default_context(cafile=str(PEM)), within_s=within_s)
    return channel.send(target or a_target("email", PEOPLE), message or a_message(), to_mail())


def failed(server: MailServer, **settings: object) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        send(server, **settings)  # type: ignore[arg-type]
    assert "example.org" not in caught.value.answer
    assert "s3cret" not in caught.value.answer
    return caught.value


def read(raw: bytes) -> EmailMessage:
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_a_mail_goes_out_over_starttls_after_a_login() -> None:
    with mail_server() as server:
        assert send(server) == Receipt("250", 1)
    assert server.commands[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert server.logins == [b"\0courtyard@example.org\0s3cret/"]
    assert server.recipients == ["rcpt TO:<duty@example.org>", "rcpt TO:<chief@example.org>"]
    mail = read(server.mails[0])
    assert mail["Subject"] == "【危急】烟雾报警，绿云小区 K7Q2"
    assert mail["From"] == "楼院 <courtyard@example.org>"
    assert mail["To"] == "duty@example.org, chief@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "13800000001" in part(mail, "plain")
    assert "13800000001" in part(mail, "html")
    assert 'href="https://courtyard.example.org/faults/3f9a1c"' in part(mail, "html")


def test_a_mail_goes_out_over_tls_from_the_first_byte() -> None:
    with mail_server(is_tls=True, offers=("AUTH PLAIN",)) as server:
        assert send(server, scheme="smtps").mentioned == 1
    assert len(server.mails) == 1


def test_without_starttls_nothing_is_sent_in_clear() -> None:
    with mail_server(offers=("AUTH PLAIN",)) as server:
        answer = failed(server)
    assert answer.permanent
    assert "STARTTLS" in answer.answer
    assert (server.logins, server.mails) == ([], [])


def test_only_an_operator_who_says_so_sends_in_clear() -> None:
    with mail_server(offers=("SIZE",)) as server:
        assert send(server, login="", query="?tls=none&from=a@example.org").mentioned == 1
    assert "STARTTLS" not in server.commands


def test_a_certificate_of_somebody_else_is_not_accepted() -> None:
    with mail_server() as server:
        smtp = Smtp(HOST, server.port, "starttls", "a@example.org", "u", "p")
        with pytest.raises(DeliveryFailed) as caught:
            Email(smtp).send(a_target("email", PEOPLE), a_message(), to_mail())
        assert caught.value.permanent
    assert server.logins == []


def test_a_repetition_has_the_same_message_id_and_another_message_another() -> None:
    first, again = (write(a_message(), "a@example.org", ["b@example.org"]) for _ in range(2))
    other = write(a_test(), "a@example.org", ["b@example.org"])
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert str(first["Message-ID"]).endswith("@example.org>")


@pytest.mark.parametrize(
    ("answers", "permanent"),
    [
        ({"MAIL": "451 try later"}, False),
        ({"MAIL": "550 duty@example.org is not welcome"}, True),
        ({"RCPT": "450 greylisted, duty@example.org"}, False),
        ({"RCPT": "550 no such user duty@example.org"}, True),
        ({"duty@example.org": "550 no", "chief@example.org": "450 later"}, False),
        ({"DATA": "452 full"}, False),
        ({"DATA": "554 no"}, True),
        ({".": "451 later"}, False),
        ({".": "552 too large"}, True),
        ({"AUTH": "535 wrong password for courtyard@example.org"}, True),
        ({"AUTH": "454 not now"}, False),
        ({"CONNECT": "421 busy"}, False),
        ({"CONNECT": "554 not you"}, True),
        ({"EHLO": "421 busy", "HELO": "421 busy"}, False),
        ({"STARTTLS": "454 no TLS now"}, False),
    ],
)
def test_4xx_is_temporary_and_5xx_is_permanent(answers: dict[str, str], permanent: bool) -> None:
    with mail_server(answers=answers) as server:
        assert failed(server).permanent is permanent


def test_a_mail_that_some_got_is_not_sent_again() -> None:
    with mail_server(answers={"duty@example.org": "550 no such user"}) as server:
        assert send(server) == Receipt("已送 1 人，1 人被拒（550）", 1)


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "AUTH", "RCPT", "."])
def test_a_server_that_hangs_is_given_up_in_time(verb: str) -> None:
    with mail_server(answers={verb: None}) as server:
        started_s = time.monotonic()
        answer = failed(server, within_s=0.1)
        assert time.monotonic() - started_s < 2  # the server would hang for 5
    assert not answer.permanent


def test_a_server_that_is_not_there_is_temporary() -> None:
    with mail_server() as server:
        pass
    assert not failed(server).permanent
    smtp = parse_smtp("smtp://elsewhere.example.test?from=a@example.org")
    with pytest.raises(DeliveryFailed, match="not known") as caught:
        Email(smtp).send(a_target("email", PEOPLE), a_message(), to_mail())
    assert not caught.value.permanent


def test_without_a_server_an_operator_is_told_what_to_set() -> None:
    with pytest.raises(DeliveryFailed, match="COURTYARD_SMTP_URL") as caught:
        Email(None).send(a_target("email", PEOPLE), a_message(), to_mail())
    assert caught.value.permanent


def test_no_text_becomes_a_header_or_markup() -> None:
    text = "x\r\nBcc: evil@example.org\r\n\r\n<script>alert(1)</script><img src=x>"
    notice = a_notice(name=Name(text, text), compound_name=Name(text, text), device_name=text)
    for message in (a_message(notice), a_message(notice, a_notice(fault="2", device_name=text))):
        mail = read(bytes(write(message, "a@example.org", ["b@example.org"])))
        assert mail["Bcc"] is None
        assert "\n" not in mail["Subject"]
        html = part(mail, "html")
        assert "<script" not in html
        assert "<img" not in html
        assert "&lt;script&gt;" in html


def test_a_digest_and_a_test_are_mails_too() -> None:
    mail = write(a_message(*many(3)), "a@example.org", ["b@example.org"])
    assert mail["Subject"] == "【汇总】3 条告警：危急 3"
    assert part(mail, "html").count("<li") == 3
    assert write(a_test("en"), "a@example.org", ["b@example.org"])["Subject"].startswith("Test: ")


@pytest.mark.parametrize(
    ("url", "smtp"),
    [
        (
            "smtp://u%40x.org:p%3A@mail.x.org",
            Smtp("mail.x.org", 587, "starttls", "u@x.org", "u@x.org", "p:"),
        ),
        (
            "smtps://u:p@mail.x.org:4650?from=a@x.org",
            Smtp("mail.x.org", 4650, "tls", "a@x.org", "u", "p"),
        ),
        ("smtp://mail.x.org:25?tls=none", Smtp("mail.x.org", 25, "none", "courtyard@mail.x.org")),
        ("smtps://mail.x.org", Smtp("mail.x.org", 465, "tls", "courtyard@mail.x.org")),
    ],
)
def test_a_mail_server_is_told_by_its_url(url: str, smtp: Smtp) -> None:
    assert parse_smtp(url) == smtp
    assert "p:" not in repr(smtp)


@pytest.mark.parametrize(
    "url",
    [
        "", "mail.x.org", "http://mail.x.org", "smtp://", "smtp://mail.x.org:x", "smtp://u@x.org",
        "smtp://u:p@x.org?tls=none", "smtp://x.org?tls=tls", "smtp://x.org?bcc=a@b.c",
        "smtp://x.org/path", "smtp://x.org?from=a%0d%0aBcc:b@c.d",
    ],
)  # fmt: skip
def test_a_mail_server_that_cannot_be_right_is_named_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="mail server: ") as caught:
        parse_smtp(url)
    assert ":p@" not in str(caught.value)


def test_recipients_are_plain_addresses() -> None:
    assert recipients(a_target("email", "mailto:a@b.c,%20d@e.f,a@b.c")) == ["a@b.c", "d@e.f"]
    for url in (
        "a@b.c", "mailto:", "mailto:a@b.c,", "mailto:a", "mailto:a@b.c%0d%0aBcc:x@y.z",
        "mailto:<a@b.c>", 'mailto:"x y"@b.c', "mailto:a@b.c?bcc=x@y.z", "https://a@b.c",
        "mailto:" + ",".join(f"a{number}@b.c" for number in range(21)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="url: "):
            Email(None).check(a_target("email", url))
    with pytest.raises(ValueError, match="secret"):
        Email(None).check(a_target("email", "mailto:a@b.c", "s"))
