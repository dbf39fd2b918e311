"""Files for the registry through the API and the console: shown first, done as shown, undone."""

import io
import re

import openpyxl
import pytest
from starlette.testclient import TestClient

from devices.store import audit_log
from devices.store.registry import load
from tests.api.cast import GATE, SHED, XIANGYUNLI, Cast
from tests.api.console.test_registry_pages import SURE, browser_of

HEAD = "设备编号,类型,小区,名称\n"
GOOD = f"{HEAD}gate-9,智能门禁,祥云里,西门\n{GATE},gate,{XIANGYUNLI},南门\n"
WRONG = f"{HEAD}gate-9,智能门禁,祥云里,西门\ngate-8,gate,atlantis,北门\n"
DIGEST = re.compile(r'name="digest" value="([0-9a-f]{64})"')
HOSTILE = '<img src=x onerror="window.hurt = true">'


@pytest.fixture
def li(cast: Cast) -> TestClient:
    return browser_of(cast, "li", "operator")


def names(cast: Cast) -> dict[str, str]:
    with cast.write() as connection:
        return {one.id: one.name for one in load(connection).devices.values()}


def uploaded(browser: TestClient, content: str | bytes, name: str = "devices.csv") -> str:
    """The page of the preview."""
    body = content.encode() if isinstance(content, str) else content
    answer = browser.post("/administration/imports", files={"file": (name, body)})
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def confirmed(browser: TestClient, page: str, digest: str | None = None) -> int:
    found = DIGEST.search(browser.get(page).text)
    shown = found[1] if found else ""
    answer = browser.post(f"{page}/apply", data={"digest": digest or shown} | SURE)
    return answer.status_code


class TestPages:
    def test_a_wrong_line_is_told_mended_and_imported(self, cast: Cast, li: TestClient) -> None:
        page = uploaded(li, WRONG)
        text = li.get(page).text
        for told in ("第 3 行", "没有这个小区", "atlantis", "有 1 行有误", "新增 1"):
            assert told in text
        assert "/apply" not in text
        assert "gate-9" not in names(cast)
        page = uploaded(li, GOOD)
        text = li.get(page).text
        for told in ("新增 1", "修改 1", "东门", "南门"):
            assert told in text
        assert "gate-9" not in names(cast)
        assert confirmed(li, page) == 303
        assert names(cast)["gate-9"] == "西门"
        assert names(cast)[GATE] == "南门"
        assert "已导入" in li.get(f"{page}?done=applied").text
        assert confirmed(li, page) == 303  # a second click is none
        assert "gate-9" in li.get("/administration/devices?q=西门").text

    def test_an_import_is_undone(self, cast: Cast, li: TestClient) -> None:
        page = uploaded(li, GOOD)
        confirmed(li, page)
        assert li.post(f"{page}/undo").status_code == 422  # without the tick
        assert li.post(f"{page}/undo", data=SURE).headers["Location"] == f"{page}?done=undone"
        assert names(cast)[GATE] == "东门"
        assert cast.client("operator").get("/v1/devices/gate-9").json()["decommissioned_at"]
        assert "已撤销" in li.get("/administration/imports").text

    def test_what_somebody_changed_since_is_named(self, li: TestClient) -> None:
        page = uploaded(li, GOOD)
        confirmed(li, page)
        li.post("/administration/devices/gate-9/retire", data=SURE)
        answer = li.post(f"{page}/undo", data=SURE)
        assert answer.status_code == 409
        assert '<a href="/administration/devices/gate-9">' in answer.text

    def test_firms_come_by_file_with_their_errors_by_line(self, cast: Cast, li: TestClient) -> None:
        head = "物业编号,中文名,联系人,颜色\n"
        text = li.get(uploaded(li, f"{head}yaxin,亚新物业,,\nnew,,,\n", "firms.csv")).text
        for told in ("物业表第 3 行", "必填，没有写", "用模板里的列名", "有 2 行有误"):
            assert told in text
        assert "attributes" not in text
        english = li.get(f"{uploaded(li, f'{head}new,,,', 'firms.csv')}?lang=en").text
        assert "Firms, line 2" in english
        assert "use a heading of the template" in english
        li.get("/display?lang=zh")
        page = uploaded(li, "物业编号,中文名\nyaxin,亚新物业\nnew,新来\n", "firms.csv")
        assert confirmed(li, page) == 303
        assert '<a href="/administration/firms/new">' in li.get(page).text
        firm = cast.client("operator").get("/v1/registry/firms/yaxin").json()
        assert firm["name"]["zh"] == "亚新物业"
        patch = {"name": {"zh": "新来物业"}}
        cast.client("operator").patch("/v1/registry/firms/new", json=patch)
        refused = li.post(f"{page}/undo", data=SURE)
        assert (refused.status_code, '"/administration/firms/new"' in refused.text) == (409, True)

    def test_a_registry_that_changed_is_previewed_again(self, cast: Cast, li: TestClient) -> None:
        page = uploaded(li, GOOD)
        seen = DIGEST.search(li.get(page).text)
        assert seen is not None
        patch = {"name": "北门"}
        cast.client("operator").patch(f"/v1/registry/devices/{GATE}", json=patch)
        answer = li.post(f"{page}/apply", data={"digest": seen[1]} | SURE)
        assert answer.status_code == 409
        assert "登记册在预览之后变了" in answer.text
        assert "北门" in answer.text
        assert "gate-9" not in names(cast)
        assert confirmed(li, page) == 303

    @pytest.mark.parametrize(
        ("content", "name", "told"),
        [
            (b"", "devices.csv", "是空的"),
            (b"id,kind\n", "devices.csv", "缺少列“小区”"),
            (HEAD.encode(), "devices.csv", "只有列名"),
            (b"\xff\xff", "devices.csv", "既不是 UTF-8 也不是 GB18030"),
            (b"x", "devices.xlsx", "不是能读的 XLSX"),
            (b"x", "devices.pdf", "不是 .csv 或 .xlsx 文件"),
        ],
    )
    def test_a_file_that_cannot_be_read_says_why(
        self, li: TestClient, content: bytes, name: str, told: str
    ) -> None:
        answer = li.post("/administration/imports", files={"file": (name, content)})
        assert answer.status_code == 422
        assert told in answer.text

    def test_without_a_file_nothing_happens(self, li: TestClient) -> None:
        assert li.post("/administration/imports").status_code == 422

    def test_a_file_that_is_too_large_is_refused_before_it_is_read(self, li: TestClient) -> None:
        answer = li.post("/administration/imports", files={"file": ("d.csv", bytes(2**21))})
        assert answer.status_code == 413

    def test_nothing_to_do_is_said_and_a_preview_can_be_discarded(self, li: TestClient) -> None:
        page = uploaded(li, f"{HEAD}{GATE},gate,{XIANGYUNLI},东门\n")
        assert "没有要写入的内容" in li.get(page).text
        assert li.post(f"{page}/discard").status_code == 303
        assert li.get(page).status_code == 404

    def test_lines_come_in_pages_and_by_what_becomes_of_them(self, li: TestClient) -> None:
        lines = "".join(f"gate-{n},gate,祥云里,\n" for n in range(10, 15))
        page = uploaded(li, f"{HEAD}{lines}x,gate,atlantis,\n")
        text = li.get(f"{page}?limit=2").text
        assert "gate-11" in text
        assert "gate-12" not in text
        (older,) = re.findall(r'class="pager"><a href="([^"]+)"', text)
        assert "gate-12" in li.get(older.replace("&amp;", "&")).text
        wrong = li.get(f"{page}?outcome=wrong").text
        assert "gate-10" not in wrong

    @pytest.mark.parametrize("language", ["zh", "en"])
    def test_templates_can_be_filled_in_and_imported(
        self, cast: Cast, li: TestClient, language: str
    ) -> None:
        answer = li.get(f"/administration/template/xlsx?lang={language}")
        assert answer.headers["Content-Disposition"].endswith('"courtyard-devices.xlsx"')
        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        book.worksheets[0].append(["gate-9", "gate", "xiangyunli", None, None, "西门"])
        filled = io.BytesIO()
        book.save(filled)
        page = uploaded(li, filled.getvalue(), "filled.xlsx")
        assert confirmed(li, page) == 303
        assert names(cast)["gate-9"] == "西门"
        assert "Firm" in li.get("/administration/template/csv?table=compounds&lang=en").text

    def test_what_files_say_is_shown_as_text(self, li: TestClient) -> None:
        page = uploaded(li, f'{HEAD}gate-9,"{HOSTILE.replace(chr(34), chr(34) * 2)}",x,y\n',
                        f"{HOSTILE}.csv")  # fmt: skip
        for path in (page, "/administration/imports"):
            text = li.get(path).text
            assert HOSTILE not in text
            assert "&lt;img" in text

    def test_it_is_all_on_record(self, cast: Cast, li: TestClient) -> None:
        page = uploaded(li, GOOD)
        confirmed(li, page)
        with cast.write() as connection:
            rows = audit_log.list_rows(connection, audit_log.Filter(actor="li"), limit=2)
        applied, previewed = rows
        import_id = page.rpartition("/")[2]
        assert (applied.subject, applied.outcome) == (import_id, "done")
        assert applied.resource == f"{page}/apply"
        assert '"added":1' in previewed.detail.replace(" ", "")


class TestApi:
    def test_a_file_is_previewed_applied_once_and_undone(self, cast: Cast) -> None:
        client = cast.client("operator")
        answer = client.post("/v1/registry/imports?source=d.csv", content=WRONG.encode())
        assert answer.status_code == 201
        wrong = answer.json()
        lines = client.get(f"/v1/registry/imports/{wrong['id']}/lines?outcome=wrong").json()
        (problem,) = lines["items"][0]["problems"]
        assert (problem["column"], problem["value"]) == ("compound", "atlantis")
        assert problem["what"]["en"].startswith("there is no such compound")
        made = client.post(
            "/v1/registry/imports?source=d.csv", content=GOOD.encode("gb18030")
        ).json()
        assert (made["added"], made["changed"], made["state"]) == (1, 1, "previewed")
        apply = f"/v1/registry/imports/{made['id']}/apply"
        stale = client.post(apply, json={"digest": "0" * 64})
        assert stale.status_code == 409
        assert stale.json()["reason"] == "moved"
        for _ in range(2):
            done = client.post(apply, json={"digest": made["digest"]})
            assert (done.status_code, done.json()["state"]) == (200, "applied")
        assert names(cast)["gate-9"] == "西门"
        undone = client.post(f"/v1/registry/imports/{made['id']}/undo").json()
        assert undone["state"] == "undone"
        refused = client.post(apply, json={"digest": made["digest"]})
        assert refused.json()["reason"] == "undone"

    def test_a_wrong_file_is_not_applied(self, cast: Cast) -> None:
        client = cast.client("operator")
        made = client.post("/v1/registry/imports", content=WRONG.encode()).json()
        answer = client.post(
            f"/v1/registry/imports/{made['id']}/apply", json={"digest": made["digest"]}
        )
        assert answer.json()["reason"] == "wrong"
        assert "gate-9" not in names(cast)

    def test_what_cannot_be_read_is_422_with_every_problem(self, cast: Cast) -> None:
        answer = cast.client("operator").post("/v1/registry/imports", content=b"id\n")
        assert answer.status_code == 422
        assert [one["parameter"] for one in answer.json()["errors"]] == ["line 1", "line 1"]

    def test_the_same_request_under_a_key_is_one_preview(self, cast: Cast) -> None:
        client = cast.client("operator")
        key = {"Idempotency-Key": "k1"}
        first, second = (
            client.post("/v1/registry/imports", content=GOOD.encode(), headers=key).json()
            for _ in range(2)
        )
        assert first["id"] == second["id"]
        assert len(client.get("/v1/registry/imports").json()["items"]) == 1

    def test_only_operators_import(self, cast: Cast) -> None:
        for who in ("yaxin", "viewer"):
            client = cast.client(who)
            assert client.get("/v1/registry/imports").status_code == 403
            answer = client.post("/v1/registry/imports", content=GOOD.encode())
            assert answer.status_code == 403

    def test_a_template_is_a_file(self, cast: Cast) -> None:
        answer = cast.client("viewer").get("/v1/registry/template/csv?language=en")
        assert answer.content.startswith(b"\xef\xbb\xbfDevice ID,Kind,Compound")


class TestOneByOne:
    def test_a_firm_a_compound_and_a_device_are_added(self, cast: Cast) -> None:
        client = cast.client("operator")
        firm = {"id": "zhengmei", "name": {"zh": "正美"}}
        assert client.post("/v1/registry/firms", json=firm).json()["name"]["en"] == "正美"
        yard = {"id": "yard", "name": {"zh": "大院"}, "firm": "zhengmei", "households": 80}
        assert client.post("/v1/registry/compounds", json=yard).status_code == 201
        shed = {"id": "shed-9", "kind": "shed", "compound": "yard", "attributes": {"ports": 2}}
        assert client.post("/v1/registry/devices", json=shed).json()["interval_s"] > 0
        found = client.get("/v1/registry/devices?compound=yard").json()["items"]
        assert [one["id"] for one in found] == ["shed-9", "shed-9-p01", "shed-9-p02"]
        listed = client.get("/v1/registry/firms/zhengmei").json()
        assert (listed["compounds"], listed["devices"]) == (1, 3)

    def test_what_does_not_fit_is_422_by_field(self, cast: Cast) -> None:
        client = cast.client("operator")
        answer = client.patch(f"/v1/registry/devices/{GATE}", json={"interval_s": 0})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["parameter"] == f"{GATE}.interval_s"
        assert (
            client.patch(f"/v1/registry/devices/{GATE}", json={"kind": "lift"}).status_code == 422
        )

    def test_null_takes_away_and_what_is_absent_stays(self, cast: Cast) -> None:
        client = cast.client("operator")
        client.patch(f"/v1/registry/devices/{GATE}", json={"building": "3", "vendor": "Face"})
        answer = client.patch(f"/v1/registry/devices/{GATE}", json={"building": None}).json()
        assert (answer["building"], answer["vendor"], answer["name"]) == (None, "Face", "东门")

    def test_a_device_moves_retires_and_is_restored(self, cast: Cast) -> None:
        client = cast.client("operator")
        to = {"compound": "lianxin-hutong"}
        assert client.post(f"/v1/registry/devices/{SHED}/move", json=to).status_code == 200
        assert client.post(f"/v1/registry/devices/{SHED}/retire").json()["is_retired"]
        assert not client.post(f"/v1/registry/devices/{SHED}/restore").json()["is_retired"]
        assert cast.client("yaxin").get(f"/v1/registry/devices/{SHED}").status_code == 404

    def test_a_firm_changes_its_own_contacts_and_places(self, cast: Cast) -> None:
        client = cast.client("yaxin")
        contacts = {"contacts": [{"name": "赵敏", "phone": "139"}]}
        for path in ("firms/yaxin", f"compounds/{XIANGYUNLI}"):
            answer = client.patch(f"/v1/registry/{path}", json=contacts)
            assert answer.json()["contacts"] == [{"name": "赵敏", "phone": "139", "role": ""}]
        place = {"building": "3", "unit": "2"}
        assert client.patch(f"/v1/registry/devices/{GATE}", json=place).json()["unit"] == "2"
        for path, change in (
            ("firms/yaxin", {"name": {"zh": "x"}}),
            (f"compounds/{XIANGYUNLI}", {"households": 1}),
            (f"devices/{GATE}", {"interval_s": 5}),
        ):
            answer = client.patch(f"/v1/registry/{path}", json=change)
            assert answer.status_code == 403
            assert "Only operators change" in answer.json()["detail"]
        new = {"id": "gate-9", "kind": "gate", "compound": XIANGYUNLI}
        assert client.post("/v1/registry/devices", json=new).status_code == 403
