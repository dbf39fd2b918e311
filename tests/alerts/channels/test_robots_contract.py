"""What holds for every chat robot, against the stand-in and over real sockets."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.channel import Channel, DeliveryFailed
from alerts.channels import CHANNELS, dingtalk, feishu, wecom
from alerts.channels.answers import chat, json_bytes
from alerts.message import Message
from alerts.outgoing import Answer, Outgoing, parse_allowed
from devices.alerts import ChannelName, Target
from devices.registry import Contact, Name
from simulators.robots import Arrived, Plan, Robots
from tests.alerts.cast import SECRET, a_message, a_notice, a_target, a_test, many, to_here

ROBOTS = ["dingtalk", "wecom", "feishu"]
CODE = {
    "dingtalk": ("errcode", "errmsg"),
    "wecom": ("errcode", "errmsg"),
    "feishu": ("code", "msg"),
}


def a_robot(robots: Robots, kind: str, *, language: str = "zh", **settings: object) -> Target:
    add = {"dingtalk": robots.dingtalk, "wecom": robots.wecom, "feishu": robots.feishu}[kind]
    url = add("值班群", "t0ken-of-the-group", **settings)  # type: ignore[operator]
    secrets = (SECRET,) if "secret" in settings else ()
    return a_target(kind, url, *secrets, language=language)


def sending(target: Target, message: Message) -> Callable[[], object]:
    return lambda: CHANNELS[target.channel].send(target, message, to_here())


def failed(send: Callable[[], object]) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as caught:
        send()
    return caught.value


def answers(kind: str, number: int, words: str, status: int = 200) -> Plan:
    code, said = CODE[kind]
    return Plan(status=status, body=json.dumps({code: number, said: words}).encode())


@pytest.mark.parametrize("kind", ROBOTS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_fault_arrives_with_all_that_people_need(
    robots: Robots, kind: str, language: str
) -> None:
    target = a_robot(robots, kind)
    receipt = CHANNELS[target.channel].send(target, a_message(language=language), to_here())
    assert receipt.mentioned == 1
    assert receipt.answer.startswith("0 ")
    (arrived,) = robots.messages
    told = arrived.title + arrived.text
    for part in ("K7Q2", "13800000001", "71.5 °C", "3 号楼 北侧"):
        assert part in told
    for part in {"zh": ("烟雾报警", "立即断电"), "en": ("Smoke", "Cut power")}[language]:
        assert part in told
    link = "https://courtyard.example.org/faults/3f9a1c"
    assert link in [url for _, url in arrived.links] or f"]({link})" in arrived.text


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
def test_a_signed_message_is_accepted_and_a_wrongly_signed_one_says_what_to_mend(
    robots: Robots, kind: str
) -> None:
    target = a_robot(robots, kind, secret=SECRET)
    sending(target, a_message())()
    wrong = failed(sending(replace(target, secrets=("SECwrong",)), a_message()))
    assert wrong.permanent
    assert "签名不对" in wrong.answer
    unsigned = failed(sending(replace(target, secrets=()), a_message()))
    assert unsigned.permanent
    assert len(robots.messages) == 1


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
def test_while_a_secret_is_replaced_the_other_one_is_tried(robots: Robots, kind: str) -> None:
    target = a_robot(robots, kind, secret=SECRET)
    CHANNELS[target.channel].send(
        replace(target, secrets=("SECnewer", SECRET)), a_message(), to_here()
    )
    assert [one.accepted for one in robots.attempts] == [False, True]


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
def test_the_keyword_that_the_documents_name_is_in_every_message(robots: Robots, kind: str) -> None:
    target = a_robot(robots, kind, keyword="楼院")
    for message in (a_message(), a_message(*many(3)), a_test()):
        sending(target, message)()
    assert len(robots.messages) == 3


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
def test_a_missing_keyword_and_a_foreign_address_say_what_to_mend(
    robots: Robots, kind: str
) -> None:
    missing = failed(sending(a_robot(robots, kind, keyword="火警"), a_message()))
    assert missing.permanent
    assert "关键词" in missing.answer
    elsewhere = failed(sending(a_robot(robots, kind, addresses=("8.8.8.8",)), a_message()))
    assert elsewhere.permanent
    assert "白名单" in elsewhere.answer


@pytest.mark.parametrize("kind", ROBOTS)
def test_a_wrong_token_is_permanent_and_is_not_shown(robots: Robots, kind: str) -> None:
    target = a_robot(robots, kind)
    wrong = replace(target, url=target.url.replace("t0ken-of", "0ther-of"))
    answer = failed(sending(wrong, a_message()))
    assert answer.permanent
    assert "重新复制" in answer.answer
    assert "0ther-of-the-group" not in answer.answer


@pytest.mark.parametrize("kind", ROBOTS)
def test_the_advice_is_in_the_language_of_the_target(robots: Robots, kind: str) -> None:
    target = a_robot(robots, kind, language="en")
    wrong = replace(target, url=target.url.replace("t0ken-of", "0ther-of"))
    assert "copy the webhook address again" in failed(sending(wrong, a_message())).answer


@pytest.mark.parametrize(
    ("kind", "per_minute", "wait_s"), [("dingtalk", 20, 600), ("wecom", 20, 60), ("feishu", 5, 60)]
)
def test_too_many_messages_wait_as_long_as_the_robot_wants(
    robots: Robots, kind: str, per_minute: int, wait_s: int
) -> None:
    target = a_robot(robots, kind)
    for _ in range(per_minute):
        sending(target, a_test())()
    too_fast = failed(sending(target, a_test()))
    assert not too_fast.permanent
    assert too_fast.wait_s is not None
    assert too_fast.wait_s >= wait_s
    assert len(robots.messages) == per_minute


@pytest.mark.parametrize("kind", ROBOTS)
@pytest.mark.parametrize(("number", "words"), [(-1, "system busy"), (987654, "?")])
def test_an_unknown_code_in_a_200_is_a_failure_that_is_tried_again(
    robots: Robots, kind: str, number: int, words: str
) -> None:
    target = a_robot(robots, kind)
    robots.plan(target.url, answers(kind, number, words))
    answer = failed(sending(target, a_message()))
    assert not answer.permanent
    assert answer.wait_s is None
    assert str(number) in answer.answer
    assert robots.messages == ()


NO_YES = [
    Plan(status=200, body=b""),
    Plan(status=200, body=b"<html>log in to the wireless network</html>"),
    Plan(status=200, body=b"[]"),
    Plan(status=200, body=b'{"ok": true}'),
    Plan(status=200, body=b'{"errcode": "0", "code": "0"}'),
    Plan(status=200, body=b'{"errcode": false, "code": false}'),
    Plan(status=200, body=b'{"status": 0}'),
    Plan(status=200, body=b"[" * 60_000),
    Plan(status=200, body=b"{" + b"x" * 70_000),
    Plan(status=500, body=b"oops"),
    Plan(status=502, body=b'{"errcode": 0, "code": 0}'),
    Plan(status=302, headers={"Location": "https://elsewhere.example.org/"}),
]


@pytest.mark.parametrize("kind", ROBOTS)
def test_what_is_not_the_robots_own_yes_is_a_failure(robots: Robots, kind: str) -> None:
    target = a_robot(robots, kind)
    for plan in NO_YES:
        robots.plan(target.url, plan)
        assert not failed(sending(target, a_message())).permanent, plan
    assert robots.messages == ()


class Answering(Outgoing):
    """Answers everything in the same way."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(parse_allowed(""))
        self.answer = answer

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        return self.answer


YES = [b'{"errcode":0,"errmsg":"ok"}', b'{"code":0,"msg":"success"}', b'{"StatusCode":0}']


@settings(max_examples=60)
@given(
    kind=st.sampled_from(ROBOTS),
    status=st.sampled_from([200, 201, 204, 301, 302, 400, 404, 410, 429, 500, 503]),
    body=st.sampled_from(YES) | st.binary(max_size=60) | st.text(max_size=40).map(str.encode),
    retry_after=st.text(max_size=12),
)
def test_any_answer_is_a_yes_or_a_failure(
    kind: str, status: int, body: bytes, retry_after: str
) -> None:
    target = a_target(kind, "https://robots.example.org/robot/send?access_token=t0ken-of-it")
    answer = Answer(status, {"retry-after": retry_after}, body)
    try:
        CHANNELS[target.channel].send(target, a_message(), Answering(answer))
    except DeliveryFailed:
        return
    assert body in YES
    assert 200 <= status < 300


@pytest.mark.parametrize("kind", ROBOTS)
def test_a_robot_that_hangs_is_given_up(robots: Robots, kind: str) -> None:
    target = a_robot(robots, kind)
    robots.plan(target.url, Plan(hangs=True))
    hurried = Outgoing(parse_allowed("127.0.0.1"), within_s=0.05)
    with pytest.raises(DeliveryFailed, match="no whole answer") as caught:
        CHANNELS[target.channel].send(target, a_message(), hurried)
    assert not caught.value.permanent


@pytest.mark.parametrize("kind", ROBOTS)
def test_an_address_that_is_not_allowed_is_permanent(kind: str) -> None:
    path = {
        "dingtalk": "/robot/send?access_token=t0ken-of-the-group",
        "wecom": "/cgi-bin/webhook/send?key=t0ken-of-the-group",
        "feishu": "/open-apis/bot/v2/hook/t0ken-of-the-group",
    }[kind]
    target = a_target(kind, f"https://169.254.169.254{path}")
    with pytest.raises(DeliveryFailed) as caught:
        CHANNELS[target.channel].send(target, a_message(), Outgoing(parse_allowed("")))
    assert caught.value.permanent
    assert "t0ken" not in caught.value.answer
    assert "169.254" not in caught.value.answer


@pytest.mark.parametrize("kind", ROBOTS)
def test_what_a_robot_repeats_of_address_and_secret_is_not_shown(robots: Robots, kind: str) -> None:
    target = replace(a_robot(robots, kind), secrets=() if kind == "wecom" else (SECRET,))
    robots.plan(target.url, answers(kind, 555, f"bad {target.url} and {SECRET}"))
    robots.plan(target.url, Plan(status=500, body=f"at {target.url} {SECRET}".encode()))
    for _ in range(2):
        answer = failed(sending(target, a_message())).answer
        assert "t0ken-of-the-group" not in answer
        if kind != "wecom":
            assert SECRET not in answer


@pytest.mark.parametrize("kind", ROBOTS)
def test_a_digest_too_large_for_one_message_says_how_far_it_came(robots: Robots, kind: str) -> None:
    target = a_robot(robots, kind)
    channel = CHANNELS[target.channel]
    rest = many(120)
    numbers: list[str] = []
    while rest:
        receipt = channel.send(target, a_message(*rest), to_here())
        assert receipt.mentioned >= min(15, len(rest))
        numbers += [notice.number for notice in rest[: receipt.mentioned]]
        arrived = robots.messages[-1]
        told = arrived.title + arrived.text
        for notice in rest[: receipt.mentioned]:
            assert notice.number in told
        for notice in rest[receipt.mentioned :]:
            assert notice.number not in told
        rest = rest[receipt.mentioned :]
    assert len(numbers) == 120


SMUGGLED = [
    "<@all>",
    "@all",
    "@所有人",
    "<at id=all></at>",
    '<at user_id="all">x</at>',
    "&lt;at id=all&gt;",
    "[click](https://evil.example.org)",
    "![x](https://evil.example.org/p.png)",
    "https://evil.example.org/x",
    "evil.example.org",
    "**bold** `code` ~~gone~~ # head",
    "a\n# head\n> quote\n- list",
    '<font color="warning">x</font>',
    '"}],"x":[{"y":"',
    "\u202egnp.exe",
]


@pytest.mark.parametrize("kind", ROBOTS)
def test_no_name_smuggles_a_mention_a_link_or_markup(robots: Robots, kind: str) -> None:
    for text in SMUGGLED:
        robots.clear()
        target = a_robot(robots, kind)
        notice = a_notice(
            device_name=text,
            where=text,
            compound_name=Name(text, text),
            note=text,
            actor=text,
            contacts=(Contact(text, text, text),),
            evidence={"error": text},
        )
        sending(target, a_message(notice))()
        sending(target, a_message(notice, replace(notice, fault="2")))()
        for arrived in robots.messages:
            _is_harmless(arrived, notice.link or "")


def _is_harmless(arrived: Arrived, link: str) -> None:
    told = (arrived.title + "\n" + arrived.text).replace(link, "")
    told = told.replace('<font color="warning">', "").replace("</font>", "")
    for mark in ("@", "<", "&", "![", "`", "~", "\u202e", "://", "evil.", "\n# ", "\n> "):
        assert mark not in told
    assert "](" not in told.replace("]()", "")  # our own link, whose address is taken out
    assert '"isAtAll": true' not in json.dumps(arrived.payload)


HOSTILE = st.text(
    alphabet=st.sampled_from("烟雾报警abc <>[]()*`~#|\\@_&{}!.:/\n\r\t\u202e🔥e\u0301\ud800"),
    max_size=400,
)


@pytest.mark.parametrize("kind", ROBOTS)
@settings(max_examples=15, deadline=None)
@given(
    name=HOSTILE,
    note=HOSTILE,
    evidence=st.dictionaries(HOSTILE, HOSTILE, max_size=30),
    contacts=st.lists(st.builds(Contact, HOSTILE, HOSTILE, HOSTILE), max_size=60),
    count=st.integers(1, 60),
)
def test_whatever_the_text_the_limit_is_kept_in_whole_characters(
    kind: str, name: str, note: str, evidence: dict[str, str], contacts: list[Contact], count: int
) -> None:
    notice = a_notice(
        device_name=name,
        where=name,
        name=Name(name, name),
        compound_name=Name(name, name),
        advice=Name(note, note),
        note=note,
        actor=note,
        evidence=evidence,
        contacts=tuple(contacts),
    )
    message = a_message(*(replace(notice, fault=str(number)) for number in range(count)))
    if kind == "wecom":
        content, mentioned = wecom.payload(message)
        size, told = len(content.encode()), content
    elif kind == "dingtalk":
        body, mentioned = dingtalk.payload(message)
        size, told = len(body), body.decode()
    else:
        card, mentioned = feishu.payload(message)
        size, told = len(json_bytes(card)) + feishu.SIGNATURE_BYTES, json_bytes(card).decode()
    limit = CHANNELS[ChannelName(kind)].limits.max_bytes
    assert limit is not None
    assert size <= limit
    assert 1 <= mentioned <= count
    assert "K7Q2" in told


@given(st.text(max_size=60))
def test_chat_text_has_no_markup_left_and_is_as_long_as_before(text: str) -> None:
    shown = chat(text)
    assert len(shown) == len(text)
    assert not set(shown) & set("<>[]*`~#|\\@_&{}")
    assert "//" not in shown


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("dingtalk", "https://oapi.dingtalk.com/robot/send?access_token=566cc69da782ec"),
        ("wecom", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-7xxx"),
        ("feishu", "https://open.feishu.cn/open-apis/bot/v2/hook/d9e3f6b0"),
        ("feishu", "https://open.larksuite.com/open-apis/bot/v2/hook/d9e3f6b0"),
    ],
)
def test_an_address_as_the_robot_gives_it_is_right(kind: str, url: str) -> None:
    CHANNELS[ChannelName(kind)].check(a_target(kind, url))


@pytest.mark.parametrize("kind", ROBOTS)
@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://oapi.dingtalk.com/",
        "https://oapi.dingtalk.com/robot/send",
        "https://oapi.dingtalk.com/robot/send?access_token=",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send",
        "https://open.feishu.cn/open-apis/bot/v2/hook/",
        "https://example.org/other",
    ],
)
def test_an_address_that_cannot_be_right_says_what_is_expected(kind: str, url: str) -> None:
    with pytest.raises(ValueError, match="url: expected"):
        CHANNELS[ChannelName(kind)].check(a_target(kind, url))


def test_a_secret_that_cannot_be_right_is_not_shown() -> None:
    url = "https://oapi.dingtalk.com/robot/send?access_token=566cc69da782ec"
    with pytest.raises(ValueError, match="signing secret") as caught:
        CHANNELS[ChannelName.DINGTALK].check(a_target("dingtalk", url, "SEC with blanks"))
    assert "blanks" not in str(caught.value)
    with pytest.raises(ValueError, match="has none"):
        CHANNELS[ChannelName.WECOM].check(
            a_target("wecom", "https://q.example.org/cgi-bin/webhook/send?key=1", "secret")
        )


def test_every_name_has_a_channel() -> None:
    assert set(CHANNELS) == set(ChannelName)
    channel: Channel
    for channel in CHANNELS.values():
        assert channel.limits is not None
