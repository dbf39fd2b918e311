"""The console's pages of the registry: looked for, changed by whom it may, and back."""

import re

import pytest
from sqlalchemy import Engine, select
from starlette.testclient import TestClient

from devices.registry import Contact
from devices.store import audit_log
from devices.store.database import reading
from devices.store.registry import load
from tests.api.cast import (
    GATE,
    LAMP,
    LIANXIN,
    PASSWORD,
    PORT,
    SHED,
    STRANGE_GATE,
    XIANGYUNLI,
    Cast,
    a_user,
)

SURE = {"sure": "yes"}
SEEN = re.compile(r'name="seen" value="([0-9a-f]+)"')
HOSTILE = '<img src=x onerror="window.hurt = true">'


@pytest.fixture
def li(cast: Cast) -> TestClient:
    """The browser of an operator who logged in with a password."""
    return browser_of(cast, "li", "operator")


def browser_of(cast: Cast, name: str, role: str, firm: str | None = None) -> TestClient:
    with cast.write() as connection:
        a_user(connection, name, role, firm)
    browser = cast.browser()
    browser.post("/login", data={"name": name, "password": PASSWORD})
    return browser


def seen_on(browser: TestClient, path: str) -> dict[str, str]:
    found = SEEN.search(browser.get(path).text)
    assert found is not None
    return {"seen": found[1]}


def audited(cast: Cast) -> list[tuple[str, str, str]]:
    with cast.write() as connection:
        rows = audit_log.list_rows(connection, audit_log.Filter())
    return [(row.actor, f"{row.method} {row.resource}", row.subject) for row in rows]


class TestDevices:
    def test_administration_begins_with_the_devices(self, li: TestClient) -> None:
        assert li.get("/administration").headers["Location"] == "/administration/devices"
        page = li.get("/administration/devices").text
        for text in ("东门", GATE, "1号棚", STRANGE_GATE, "祥云里", "9 台"):
            assert text in page

    @pytest.mark.parametrize(
        ("asked", "there", "not_there"),
        [
            ("q=东门", (GATE, "cam-1"), (SHED, STRANGE_GATE)),
            ("q=东门&kind=gate", (GATE,), ("cam-1",)),
            (f"compound={LIANXIN}", (STRANGE_GATE,), (GATE,)),
            ("firm=yaxin", (GATE,), (STRANGE_GATE,)),
            (f"parent={SHED}&service=all", (PORT,), (GATE,)),
            ("service=retired", ("没有符合条件的设备",), (GATE,)),
        ],
    )
    def test_devices_are_found(
        self, li: TestClient, asked: str, there: tuple[str, ...], not_there: tuple[str, ...]
    ) -> None:
        page = li.get(f"/administration/devices?{asked}").text
        table = page[page.index("</form>") :]
        for text in there:
            assert text in table
        for text in not_there:
            assert f"/administration/devices/{text}" not in table

    def test_the_list_comes_in_pages(self, li: TestClient) -> None:
        page = li.get("/administration/devices?limit=2").text
        assert GATE not in page[page.index("<tbody>") :] or STRANGE_GATE not in page
        (older,) = re.findall(r'class="pager"><a href="([^"]+)"', page)
        assert li.get(older.replace("&amp;", "&")).status_code == 200

    def test_a_device_is_changed_and_the_page_says_so(self, cast: Cast, li: TestClient) -> None:
        path = f"/administration/devices/{GATE}"
        form = {"name": "南门", "building": "3", "unit": "2", "interval_s": "45"}
        form |= {"attributes": "form = barrier\nmetered = true"}
        answer = li.post(path, data=form | seen_on(li, path))
        assert answer.headers["Location"] == f"{path}?done=saved"
        assert "已保存" in li.get(answer.headers["Location"]).text
        with cast.write() as connection:
            gate = load(connection).devices[GATE]
        assert (gate.name, gate.building, gate.unit, gate.interval_s) == ("南门", "3", "2", 45)
        assert gate.attributes == {"form": "barrier", "metered": True}
        assert audited(cast)[0] == ("li", f"POST {path}", GATE)

    def test_what_cannot_be_is_told_by_field_and_what_was_written_stays(
        self, li: TestClient
    ) -> None:
        path = f"/administration/devices/{GATE}"
        form = {"name": "南门", "interval_s": "often", "attributes": "form = round"}
        answer = li.post(path, data=form | seen_on(li, path))
        assert answer.status_code == 422
        assert "上报间隔（秒）: 要写数字" in answer.text
        assert "不适用于这个类型，或超出范围" in answer.text
        assert 'value="南门"' in answer.text

    def test_who_was_slower_is_told(self, cast: Cast, li: TestClient) -> None:
        path = f"/administration/devices/{GATE}"
        seen = seen_on(li, path)
        li.post(path, data={"name": "南门"} | seen)
        answer = li.post(path, data={"name": "北门"} | seen)
        assert answer.status_code == 409
        with cast.write() as connection:
            assert load(connection).devices[GATE].name == "南门"

    def test_a_device_is_added(self, cast: Cast, li: TestClient) -> None:
        form = {"id": "gate-9", "kind": "gate", "compound": XIANGYUNLI, "name": "西门"}
        answer = li.post("/administration/devices", data=form)
        assert answer.headers["Location"] == "/administration/devices/gate-9?done=added"
        assert "西门" in li.get("/administration/devices").text
        assert cast.client("operator").get("/v1/devices/gate-9").json()["state"] == "never_seen"
        again = li.post("/administration/devices", data=form)
        assert again.status_code == 422
        assert "已登记" in again.text

    def test_a_shed_is_retired_and_brought_back(self, cast: Cast, li: TestClient) -> None:
        path = f"/administration/devices/{SHED}"
        assert li.post(f"{path}/retire").status_code == 422  # without the tick
        assert li.post(f"{path}/retire", data=SURE).headers["Location"] == f"{path}?done=retired"
        assert "恢复使用" in li.get(path).text
        client = cast.client("operator")
        assert SHED not in client.get("/v1/devices").text
        assert client.get(f"/v1/devices/{PORT}").json()["decommissioned_at"] is not None
        assert SHED in li.get("/administration/devices?service=retired").text
        assert li.post(f"{path}/restore").headers["Location"] == f"{path}?done=restored"
        assert PORT in client.get("/v1/devices").text

    def test_a_device_is_moved(self, cast: Cast, li: TestClient) -> None:
        path = f"/administration/devices/{SHED}"
        form = {"compound": LIANXIN, "parent": f"{LIANXIN}-gw"}
        assert li.post(f"{path}/move", data=form).status_code == 422
        assert li.post(f"{path}/move", data=form | SURE).status_code == 303
        ports = cast.client("kangqiao").get(f"/v1/compounds/{LIANXIN}/devices").text
        assert PORT in ports
        wrong = li.post(f"{path}/move", data={"compound": XIANGYUNLI, "parent": "x"} | SURE)
        assert "没有这台设备" in wrong.text
        gateway = f"/administration/devices/{XIANGYUNLI}-gw/move"
        answer = li.post(gateway, data={"compound": LIANXIN} | SURE)
        assert answer.status_code == 422
        assert (
            li.post(gateway, data={"compound": LIANXIN, "along": "yes"} | SURE).status_code == 303
        )

    def test_names_are_shown_as_text(self, li: TestClient) -> None:
        path = f"/administration/devices/{LAMP}"
        li.post(path, data={"name": HOSTILE} | seen_on(li, path))
        for page in (path, "/administration/devices", f"/administration/devices?q={HOSTILE}"):
            assert HOSTILE not in li.get(page).text


class TestCompounds:
    def test_a_compound_is_added_changed_and_given_to_another_firm(
        self, cast: Cast, li: TestClient
    ) -> None:
        form = {"id": "yard", "name_zh": "大院", "firm": "yaxin", "households": "80"}
        answer = li.post("/administration/compounds", data=form)
        assert answer.headers["Location"] == "/administration/compounds/yard?done=added"
        assert "yard" in cast.client("yaxin").get("/v1/compounds").text
        path = "/administration/compounds/yard"
        changed = {"name_zh": "大院子", "firm": "kangqiao", "households": "81"}
        changed |= {"latitude": "34.7", "longitude": "113.6", "contacts": "李伟, 0371-6601, 值班"}
        assert li.post(path, data=changed | seen_on(li, path)).status_code == 303
        assert "yard" not in cast.client("yaxin").get("/v1/compounds").text
        assert "yard" in cast.client("kangqiao").get("/v1/compounds").text
        page = li.get("/administration/compounds?q=大院&firm=kangqiao").text
        assert '<a href="tel:03716601">0371-6601</a>' in page

    def test_what_cannot_be_is_told(self, li: TestClient) -> None:
        form = {"id": "大院", "name_zh": "大院", "firm": "yaxin", "households": "many"}
        answer = li.post("/administration/compounds", data=form)
        assert answer.status_code == 422
        for text in ("小区编号: 不是编号", "户数: 要写数字", 'value="many"'):
            assert text in answer.text


class TestFirms:
    def test_a_firm_is_added_and_changed(self, cast: Cast, li: TestClient) -> None:
        form = {"id": "zhengmei", "name_zh": "正美", "contacts": "王五，0371-6602"}
        assert li.post("/administration/firms", data=form).status_code == 303
        path = "/administration/firms/zhengmei"
        form = {"name_zh": "正美物业", "name_en": "Zhengmei", "contacts": ""}
        assert li.post(path, data=form | seen_on(li, path)).status_code == 303
        with cast.write() as connection:
            firm = load(connection).firms["zhengmei"]
        assert (firm.name.zh, firm.contacts) == ("正美物业", ())

    def test_what_cannot_be_is_told(self, li: TestClient) -> None:
        answer = li.post("/administration/firms", data={"id": "正美", "name_zh": ""})
        assert answer.status_code == 422
        for text in ("物业编号: 不是编号", "中文名: 必填"):
            assert text in answer.text


class TestRoles:
    def test_a_firm_changes_what_it_knows_best_of_what_is_its_own(self, cast: Cast) -> None:
        zhao = browser_of(cast, "zhao", "firm", "yaxin")
        device = f"/administration/devices/{GATE}"
        page = zhao.get(device).text
        assert 'name="interval_s"' not in page
        assert "/retire" not in page
        form = {"name": "南门", "building": "5", "unit": ""}
        assert zhao.post(device, data=form | seen_on(zhao, device)).status_code == 303
        for path in (f"/administration/compounds/{XIANGYUNLI}", "/administration/firms/yaxin"):
            assert 'name="name_zh"' not in zhao.get(path).text
            form = {"contacts": "赵敏, 139, 经理"} | seen_on(zhao, path)
            assert zhao.post(path, data=form).status_code == 303
        with cast.write() as connection:
            registry = load(connection)
        assert registry.devices[GATE].building == "5"
        assert registry.compounds[XIANGYUNLI].contacts == (Contact("赵敏", "139", "经理"),)
        assert registry.firms["yaxin"].contacts == (Contact("赵敏", "139", "经理"),)

    @pytest.mark.parametrize(
        ("path", "form"),
        [
            (f"/administration/devices/{GATE}", {"interval_s": "5"}),
            (f"/administration/devices/{GATE}/retire", SURE),
            (f"/administration/devices/{GATE}/move", {"compound": XIANGYUNLI} | SURE),
            (f"/administration/compounds/{XIANGYUNLI}", {"firm": "kangqiao"}),
            ("/administration/firms/yaxin", {"name_zh": "x"}),
            ("/administration/devices", {"id": "gate-9"}),
            ("/administration/compounds", {"id": "yard"}),
            ("/administration/firms", {"id": "new"}),
            ("/administration/imports", {}),
            ("/administration/unknown/ignore", {"protocol": "native", "name": "gate-9"}),
            ("/administration/unknown/replay", {"protocol": "native", "name": GATE}),
        ],
    )
    def test_a_firm_and_a_viewer_change_nothing_else(
        self, cast: Cast, path: str, form: dict[str, str]
    ) -> None:
        for client in (cast.client("yaxin"), cast.client("viewer")):
            assert client.post(path, data=form).status_code == 403

    def test_a_firm_sees_its_own_and_no_unknown_sender(self, cast: Cast) -> None:
        client = cast.client("yaxin")
        for path in ("devices", "compounds", "firms"):
            page = client.get(f"/administration/{path}").text
            assert "kangqiao" not in page
            assert LIANXIN not in page
        assert client.get("/administration/unknown").status_code == 404
        for path in ("imports", "new-device", "template/csv"):
            assert client.get(f"/administration/{path}").status_code == 403

    def test_a_viewer_sees_everything_and_finds_no_button(self, cast: Cast) -> None:
        client = cast.client("viewer")
        for path in (
            "devices", f"devices/{GATE}", "compounds", f"compounds/{XIANGYUNLI}", "firms",
            "firms/yaxin", "unknown",
        ):  # fmt: skip
            page = client.get(f"/administration/{path}").text
            main = page[page.index("<main") :]
            assert 'method="post"' not in main


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_is_there_in_both_languages(cast: Cast, language: str) -> None:
    client = cast.client("operator")
    for path in (
        "devices", f"devices/{GATE}", f"devices/{SHED}", "new-device", "compounds",
        f"compounds/{XIANGYUNLI}", "firms", "firms/yaxin", "imports", "unknown",
    ):  # fmt: skip
        answer = client.get(f"/administration/{path}?lang={language}")
        assert answer.status_code == 200, path


def test_the_registry_that_a_page_changed_is_the_one_that_is_stored(
    cast: Cast, li: TestClient, api_database: Engine
) -> None:
    path = f"/administration/devices/{GATE}"
    li.post(path, data={"name": "南门"} | seen_on(li, path))
    with reading(api_database) as connection:
        from devices.store.schema import revisions

        newest = connection.execute(
            select(revisions.c.what, revisions.c.body).order_by(revisions.c.id.desc())
        ).first()
    assert newest is not None
    assert (newest.what, newest.body["changed"]) == ("registry", 1)
