"""What was refused, for people to look at and to have judged again."""

from sqlalchemy import select, update

from devices.store.schema import audit_log, cursors, quarantine, revisions
from tests.api.cast import GATE, LIANXIN, NOW_MS, STRANGE_GATE, XIANGYUNLI, Cast, a_refusal
from tests.api.test_console import EN, ZH, words

SURE = {"sure": "yes"}


def with_refusals(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1)
        a_refusal(connection, 2, reason="bad_number", partial=True, payload=None)
        a_refusal(
            connection,
            3,
            compound="unassigned",
            device=None,
            reason="unknown_device",
            topic="<script>alert(1)</script>",
            payload=b"\xff<b>",
        )
        a_refusal(connection, 4, compound=LIANXIN, device=STRANGE_GATE, payload=b"a stranger's")


def judged(cast: Cast, revision: int, **became: str) -> None:
    """The judge has taken the requests up to this one. became: outcome of a message, by `n<id>`."""
    with cast.write() as connection:
        connection.execute(update(cursors).values(revision=revision, updated_at_ms=NOW_MS))
        for name, outcome in became.items():
            values = {"outcome": outcome, "replayed_at_ms": NOW_MS}
            row = quarantine.c.id == int(name.removeprefix("n"))
            connection.execute(update(quarantine).where(row).values(**values))


def test_the_list_has_every_message_with_its_reason_and_is_only_text(cast: Cast) -> None:
    with_refusals(cast)
    html = cast.client("operator").get("/quarantine", headers=ZH).text
    text = words(html)
    assert "不是 JSON not_json" in text
    assert "{oops" in text
    assert "其余已存入" in text
    assert "（不留内容）" in text
    assert "归属未知" in text
    assert "<script>alert" not in html
    assert "\N{REPLACEMENT CHARACTER}&lt;b&gt;" in html
    chosen = words(cast.client("viewer").get("/quarantine?reason=bad_number", headers=EN).text)
    assert "the rest is stored" in chosen
    assert "{oops" not in chosen
    assert "No message is like that" in words(
        cast.client("viewer").get(f"/quarantine?device={GATE}&reason=clock", headers=EN).text
    )


def test_a_filter_that_cannot_be_is_refused_in_words(cast: Cast) -> None:
    client = cast.client("operator")
    assert client.get("/quarantine?reason=nonsense").status_code == 422
    assert client.get("/quarantine?compound=nowhere").status_code == 404
    assert client.get("/quarantine?compound=unassigned").status_code == 200
    assert cast.client("yaxin").get("/quarantine?compound=unassigned").status_code == 404


def test_a_firm_sees_what_its_own_devices_sent(cast: Cast) -> None:
    with_refusals(cast)
    client = cast.client("yaxin")
    html = client.get("/quarantine", headers=ZH).text
    assert "{oops" in html
    assert "stranger" not in html
    assert "归属未知" not in html
    assert client.get("/quarantine/1").status_code == 200
    assert "区值班" in client.get("/quarantine/1", headers=ZH).text
    assert client.get("/quarantine/3").status_code == client.get("/quarantine/4").status_code == 404
    assert client.get("/quarantine/replays?first=1&last=1").status_code == 404


def test_long_lists_go_on_behind_the_last_one(cast: Cast) -> None:
    with cast.write() as connection:
        for jseq in range(1, 61):
            a_refusal(connection, jseq, payload=f"payload-{jseq:03d}".encode())
    client = cast.client("operator")
    first = client.get("/quarantine?reason=not_json").text
    assert "payload-060" in first
    assert "payload-010" not in first
    (older,) = [
        line for line in first.split('"') if line.startswith("/quarantine?") and "cursor" in line
    ]
    rest = client.get(older.replace("&amp;", "&")).text
    assert "payload-010" in rest
    assert "payload-060" not in rest


def test_one_message_is_shown_whole_and_what_is_no_text_in_hexadecimal(cast: Cast) -> None:
    with cast.write() as connection:
        a_refusal(connection, 1, payload=b"<b>" + b"x" * 5000 + b"end")
        a_refusal(connection, 2, payload=b"\x5a\xa5\xff<i>")
        a_refusal(connection, 3, payload=None)
    client = cast.client("operator")
    whole = client.get("/quarantine/1", headers=ZH).text
    assert "&lt;b&gt;xxx" in whole
    assert "xend" in whole
    binary = client.get("/quarantine/2", headers=ZH).text
    assert "按十六进制" in binary
    assert "5a a5 ff 3c 69 3e" in binary
    assert "Z..&lt;i&gt;" in binary
    assert "没有保留原文" in client.get("/quarantine/3", headers=ZH).text
    assert client.get("/quarantine/99").status_code == 404


def test_one_message_is_judged_again_once_somebody_is_sure(cast: Cast) -> None:
    with_refusals(cast)
    client = cast.client("operator")
    unsure = client.post("/quarantine/1/replay", headers=ZH)
    assert unsure.status_code == 422
    assert "没有做任何事" in unsure.text
    asked = client.post("/quarantine/1/replay", data=SURE)
    assert asked.status_code == 303
    shown = asked.headers["Location"]
    assert "正在重放 1 条" in words(client.get(shown, headers=ZH).text)
    with cast.write() as connection:
        (request,) = connection.execute(select(revisions).where(revisions.c.what == "replay")).all()
    assert (request.subject, request.body["by"]) == ("1", "li-min")
    judged(cast, request.id, n1="stored")
    text = words(client.get(shown, headers=ZH).text)
    assert "1 条中：存入 1，重复 0，仍被隔离 0" in text
    assert "重放后已存入" in words(client.get("/quarantine/1", headers=ZH).text)
    again = client.post("/quarantine/1/replay", data=SURE)
    assert again.status_code == 409
    assert client.post("/quarantine/2/replay", data=SURE).status_code == 409, "a part"


def test_all_of_a_reason_are_judged_again_and_what_came_of_it_is_told(cast: Cast) -> None:
    with cast.write() as connection:
        for jseq in range(1, 5):
            a_refusal(connection, jseq, reason="unknown_device")
        a_refusal(connection, 5)
    client = cast.client("operator")
    asked = client.get("/quarantine/replay?reason=unknown_device", headers=EN)
    assert "4 messages will be judged again" in words(asked.text)
    form = {"reason": "unknown_device"}
    assert client.post("/quarantine/replay", data=form).status_code == 422
    shown = client.post("/quarantine/replay", data=form | SURE).headers["Location"]
    with cast.write() as connection:
        numbers = connection.scalars(select(revisions.c.id).where(revisions.c.what == "replay"))
        first, *_, last = sorted(numbers)
        subject = connection.scalars(
            select(audit_log.c.subject).where(audit_log.c.resource == "/quarantine/replay")
        ).all()
    assert shown == f"/quarantine/replays?first={first}&last={last}"
    assert "unknown_device" in subject
    judged(cast, first + 1, n1="stored")
    assert "2 of 4 done" in words(client.get(shown, headers=EN).text)
    judged(cast, last, n2="duplicate", n3="stored")
    text = words(client.get(shown, headers=EN).text)
    assert "Of 4: 2 stored, 1 duplicate, 1 stay refused" in text
    assert "Unknown device unknown_device 1" in text


def test_without_a_judge_the_requests_wait_and_the_page_says_so(cast: Cast) -> None:
    with_refusals(cast)
    client = cast.client("operator")
    shown = client.post("/quarantine/1/replay", data=SURE).headers["Location"]
    assert "判定没有在运行" not in client.get(shown, headers=ZH).text
    cast.now_ms += 60_000
    assert "判定没有在运行" in client.get(shown, headers=ZH).text


def test_nothing_to_judge_again_is_said_and_not_done(cast: Cast) -> None:
    client = cast.client("operator")
    assert "没有可以重放的消息" in client.get("/quarantine/replay", headers=ZH).text
    refused = client.post("/quarantine/replay", data=SURE, headers=ZH)
    assert refused.status_code == 422
    assert client.get("/quarantine/replays?first=7&last=9").status_code == 404


def test_only_operators_have_messages_judged_again(cast: Cast) -> None:
    with_refusals(cast)
    for who in ("yaxin", "viewer"):
        client = cast.client(who)
        assert client.post("/quarantine/replay", data=SURE).status_code == 403
        assert client.post("/quarantine/1/replay", data=SURE).status_code == 403
        assert client.post("/quarantine/1/replay").status_code == 403
    with cast.write() as connection:
        assert not connection.execute(select(revisions).where(revisions.c.what == "replay")).all()


def test_a_range_of_requests_is_of_a_device_or_a_place(cast: Cast) -> None:
    with_refusals(cast)
    client = cast.client("operator")
    text = words(client.get(f"/quarantine/replay?compound={XIANGYUNLI}", headers=ZH).text)
    assert "范围：祥云里" in text
    assert "将再判 1 条" in text
    text = words(client.get("/quarantine/replay?compound=unassigned", headers=ZH).text)
    assert "范围：归属未知" in text
    assert "将再判 1 条" in text
    assert client.get("/quarantine/replay?device=nothing").status_code == 404
    assert "将再判 1 条" in words(client.get(f"/quarantine/replay?device={GATE}", headers=ZH).text)
