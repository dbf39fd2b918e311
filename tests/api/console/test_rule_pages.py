"""Thresholds: looked at, drafted, tried, put in force and taken back."""

import re
from dataclasses import replace
from html import unescape

from sqlalchemy import select

from api.rules import sha256_of
from devices.store.database import reading
from devices.store.rule_sets import newest
from devices.store.schema import audit_log, devices
from tests.api.cast import GATE, SHED, XIANGYUNLI, Cast
from tests.api.test_console import EN, ZH, words

HOT = "/rules/SHED_OVERTEMP"
LEVEL = "board_temp_c >=70|raises"
SURE = {"sure": "yes"}


def drafted(cast: Cast, where: dict[str, str], **figures: str) -> str:
    """The address of a draft with these figures, by sign|figure; every other as it is."""
    form = {"figure": list(figures), "value": list(figures.values()), **where}
    answer = cast.client("operator").post(f"{HOT}/draft", data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def carried(html: str) -> dict[str, str]:
    """What the form that puts a draft in force carries along."""
    form = html[html.index(f'action="{HOT}"') :]
    pairs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
    return {name: value for name, value in pairs if name != "figure"}


def in_force(cast: Cast) -> str:
    with reading(cast.engine) as connection:
        return newest(connection).body


def put(cast: Cast, body: str) -> int:
    client = cast.client("operator")
    number: int = client.put("/v1/rules/overrides", json={"body": body}).json()["number"]
    return number


def test_the_list_has_every_rule_that_has_figures_and_what_was_changed(cast: Cast) -> None:
    put(cast, "[[override]]\nGATE_HELD_OPEN.enabled = false\n")
    client = cast.client("operator")
    text = words(client.get("/rules", headers=ZH).text)
    assert "机箱过温 SHED_OVERTEMP" in text
    assert "现行第 1 版，li-min" in text
    assert "SYS_DISK" not in text, "our own alarms have no figures"
    changed = words(client.get("/rules?show=changed", headers=EN).text)
    assert "switched off in 1 places" in changed
    assert "SHED_OVERTEMP" not in changed
    assert "SHED_OVERTEMP" in words(client.get("/rules?find=over-temp", headers=EN).text)
    assert "There is no such fault" in words(client.get("/rules?find=zzz", headers=EN).text)


def test_a_rule_says_what_holds_where_and_where_it_comes_from(cast: Cast) -> None:
    put(
        cast,
        f'[[override]]\ncompound = "{XIANGYUNLI}"\nkind = "shed"\n'
        'SHED_OVERTEMP = {raises = ">=75", clears = "<65"}\n',
    )
    client = cast.client("operator")
    assert "≥ 70 °C ≥ 70 °C 故障目录" in words(client.get(HOT, headers=ZH).text)
    for where in (f"compound={XIANGYUNLI}", f"device={SHED}"):
        text = words(client.get(f"{HOT}?{where}", headers=ZH).text)
        assert "≥ 70 °C ≥ 75 °C 祥云里" in text
    assert client.get(f"{HOT}?compound=nowhere").status_code == 404
    assert "没有设备 nothing" in client.get(f"{HOT}?device=nothing", headers=ZH).text
    assert "不是这类设备" in client.get(f"{HOT}?device={GATE}", headers=ZH).text
    for code in ("NONSENSE", "SYS_DISK"):
        assert client.get(f"/rules/{code}").status_code == 404


def test_a_draft_is_looked_at_before_it_is_put_in_force(cast: Cast) -> None:
    client = cast.client("operator")
    address = drafted(cast, {"compound": XIANGYUNLI}, **{LEVEL: ">=75"})
    html = client.get(address, headers=ZH).text
    text = words(html)
    assert "祥云里：机箱过温 主板温度 ≥ 70 °C · 报警限：这里不改 → ≥ 75 °C" in text
    assert in_force(cast) == ""
    form = carried(html)
    assert client.post(HOT, data=form).status_code == 422, "nobody said that they are sure"
    assert client.post(HOT, data=form | SURE).status_code == 303
    assert in_force(cast) == (
        f'[[override]]\ncompound = "{XIANGYUNLI}"\n'
        '[override.SHED_OVERTEMP.sign."board_temp_c >=70"]\nraises = ">=75"\n'
    )
    text = words(client.get("/rules/history", headers=ZH).text)
    assert "第 1 版 现行 li-min" in text
    with cast.write() as connection:
        (row,) = connection.execute(
            select(audit_log).where(audit_log.c.resource == HOT, audit_log.c.outcome == "done")
        ).all()
    assert row.subject == "rule set 1"


def test_a_draft_that_cannot_be_says_why_and_offers_nothing(cast: Cast) -> None:
    client = cast.client("operator")
    html = client.get(drafted(cast, {}, **{LEVEL: "warm"}), headers=EN).text
    assert "cannot be used" in html
    assert 'name="sure"' not in html
    html = client.get(drafted(cast, {}, **{LEVEL: ">=50"}), headers=EN).text
    assert "does not lie on the other side" in html, "it would be over before it is raised"
    safety = {"figure": ["port_temp_c >=90|raises"], "value": [">=95"]}
    address = client.post("/rules/PORT_OVERTEMP/draft", data=safety).headers["Location"]
    html = client.get(address, headers=EN).text
    assert "safety tier" in html
    draft = address.partition("draft=")[2]
    refused = client.post("/rules/PORT_OVERTEMP", data={"draft": draft, "number": "0"} | SURE)
    assert refused.status_code == 422
    assert in_force(cast) == ""


def test_what_is_as_it_was_is_no_draft_and_a_draft_that_is_none_is_404(cast: Cast) -> None:
    client = cast.client("operator")
    assert "没有改动" in client.get(drafted(cast, {}, **{LEVEL: ""}), headers=ZH).text
    for draft in ("nonsense", "W10", "%20", "bnVsbA"):
        assert client.get(f"{HOT}?draft={draft}").status_code in (200, 404)
    assert client.get(f"{HOT}?draft=nonsense").status_code == 404


def test_who_is_late_is_told_and_changes_nothing(cast: Cast) -> None:
    client = cast.client("operator")
    form = carried(client.get(drafted(cast, {}, **{LEVEL: ">=75"})).text)
    theirs = "[[override]]\nGATE_HELD_OPEN.enabled = false\n"
    put(cast, theirs)
    late = client.post(HOT, data=form | SURE, headers=ZH)
    assert late.status_code == 409
    assert "现在是第 1 版" in late.text
    assert in_force(cast) == theirs


def test_everything_else_in_the_file_stays_with_its_notes(cast: Cast) -> None:
    file = (
        '# summer\n[[override]]  # a gate\ndevice = "xiangyunli-gate-1"\nnote = "agreed"\n\n'
        "# a shop's door\nGATE_HELD_OPEN.enabled = false\n\n"
        '[[override]]\n# steel boxes\nSHED_OVERTEMP.raises = ">=73" # was 70\n'
    )
    put(cast, file)
    client = cast.client("operator")
    html = client.get(drafted(cast, {}, **{LEVEL: ">=75"}), headers=ZH).text
    assert client.post(HOT, data=carried(html) | SURE).status_code == 303
    assert in_force(cast) == file.replace(">=73", ">=75")


def test_a_rule_is_changed_for_a_vendor_and_a_model_changed_again_and_taken_back(
    cast: Cast,
) -> None:
    with cast.write() as connection:
        of_make = {"vendor": "捷顺", "model": "D-1"}
        connection.execute(devices.update().where(devices.c.id == SHED).values(**of_make))
    client = cast.client("operator")
    html = client.get(HOT, headers=ZH).text
    assert "<option>捷顺</option>" in html
    assert '<optgroup label="捷顺"><option>D-1</option></optgroup>' in html
    for level in (">=75", ">=72"):
        html = client.get(drafted(cast, of_make, **{LEVEL: level}), headers=ZH).text
        assert "厂商 捷顺 · 型号 D-1：机箱过温" in words(html)
        tried = client.post(f"{HOT}/dry-run", data=carried(html))
        assert tried.status_code == 303
        assert "vendor=" in tried.headers["Location"]
        assert client.post(HOT, data=carried(html) | SURE).status_code == 303
        assert in_force(cast).count("[[override]]") == 1
        assert f'raises = "{level}"' in in_force(cast)
    text = words(client.get(f"{HOT}?device={SHED}", headers=ZH).text)
    assert "≥ 70 °C ≥ 72 °C 厂商 捷顺 · 型号 D-1" in text, "it holds for the device"
    assert "≥ 70 °C ≥ 70 °C" in words(client.get(f"{HOT}?vendor=nobody", headers=ZH).text)
    html = client.get(HOT, headers=ZH).text
    back = re.search(r'<a href="([^"]*draft=[^"]*)">撤销这里的改动', html)
    assert back is not None, "every place that was changed is named, with a way back"
    html = client.get(unescape(back[1]), headers=ZH).text
    assert "报警限：≥ 72 °C → 这里不改" in words(html)
    assert client.post(HOT, data=carried(html) | SURE).status_code == 303
    assert in_force(cast).strip() == ""


def test_a_make_that_nobody_has_and_one_for_a_whole_compound_are_refused(cast: Cast) -> None:
    client = cast.client("operator")
    html = client.get(drafted(cast, {"vendor": "nobody"}, **{LEVEL: ">=75"}), headers=EN).text
    assert "no device of" in html
    assert 'name="sure"' not in html
    html = client.get("/rules/COMPOUND_POWER_CUT?vendor=x", headers=EN).text
    assert "A fault of a whole compound is of no vendor" in html
    assert 'name="vendor"' not in client.get("/rules/COMPOUND_POWER_CUT").text


def test_conditions_and_delays_are_told_in_words_with_the_raw_rule_below(cast: Cast) -> None:
    client = cast.client("operator")
    text = words(client.get("/rules", headers=EN).text)
    assert "Never heard since it was registered for 1 d" in text
    assert "Devices below it fall silent together: 70 % or more for 2 min" in text
    assert "Time of charging &gt; 10 h At once" in text
    assert "As the rule file has it DEV_NEVER_SEEN neverseen" in text
    text = words(client.get("/rules", headers=ZH).text)
    assert "登记以来从未收到消息 持续 1 天" in text
    assert "主板温度 ≥ 70 °C 持续 60 秒" in text


def test_a_draft_is_tried_on_the_past_and_what_it_would_have_raised_is_told(cast: Cast) -> None:
    client = cast.client("operator")
    address = drafted(cast, {"device": SHED}, **{LEVEL: ">=75"})
    form = carried(client.get(address).text)
    tried = client.post(f"{HOT}/dry-run", data=form)
    assert tried.status_code == 303
    run, body = cast.dry_runs.started[0]
    assert (run.compound, run.to_ms - run.from_ms) == (XIANGYUNLI, 48 * 3_600_000)
    assert run.body_sha256 == sha256_of(body)
    assert f'device = "{SHED}"' in body
    cast.dry_runs.run = replace(run, percent=40)
    assert "正在试算：40 %" in words(client.get(address, headers=ZH).text)
    fault = {
        "code": "SHED_OVERTEMP", "subject": SHED, "compound": XIANGYUNLI, "severity": "P2",
        "since": "2026-11-23T10:00:00.000Z", "opened_at": "2026-11-23T10:01:00.000Z",
    }  # fmt: skip
    result = {
        "messages": 1200,
        "judged_from": "2026-11-22T10:00:00.000Z",
        "codes": [{"code": "SHED_OVERTEMP", "today": 3, "changed": 1}],
        "only_today": [fault],
        "only_changed": [],
        "limited": False,
    }
    cast.dry_runs.run = replace(run, state="done", result=result)
    text = words(client.get(address, headers=EN).text)
    assert "1,200 messages" in text
    assert "Box over-temperature 3 1 -2" in text
    assert f"Xiangyunli {SHED} 2026-11-23 10:00:00 UTC" in text
    other = drafted(cast, {"device": SHED}, **{LEVEL: ">=76"})
    assert "1,200 messages" not in client.get(other).text, "that run was of another draft"
    cast.dry_runs.busy = True
    assert client.post(f"{HOT}/dry-run", data=form).status_code == 409


def test_an_earlier_set_comes_back_whole_and_so_does_the_catalogue(cast: Cast) -> None:
    first = "# first\n[[override]]\nGATE_HELD_OPEN.enabled = false\n"
    put(cast, first)
    put(cast, "[[override]]\nSHED_OVERTEMP.delay_s = 90\n")
    client = cast.client("operator")
    text = words(client.get("/rules/history", headers=EN).text)
    assert "The whole district: Held open, On: not changed here → Off" in text
    assert "The whole district: Held open, On: Off → not changed here" in text
    assert client.post("/rules/history/1/restore").status_code == 422
    assert client.post("/rules/history/1/restore", data=SURE).status_code == 303
    assert in_force(cast) == first
    assert client.post("/rules/history/0/restore", data=SURE).status_code == 303
    assert in_force(cast) == ""
    assert client.post("/rules/history/99/restore", data=SURE).status_code == 404


def test_only_operators_see_and_change_thresholds(cast: Cast) -> None:
    for who in ("yaxin", "viewer"):
        client = cast.client(who)
        for path in ("/rules", HOT, "/rules/history"):
            assert client.get(path).status_code == 403, path
        for path in (HOT, f"{HOT}/dry-run", "/rules/history/0/restore"):
            assert client.post(path, data=SURE).status_code == 403, path
