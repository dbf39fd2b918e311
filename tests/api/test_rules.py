"""The rules of the catalogue, what is changed of them, and dry runs of changes."""

from dataclasses import replace

import pytest

from api.parts import DryRun
from devices.catalogue import RULES
from devices.store.database import reading
from devices.store.rule_sets import newest
from tests.api.cast import NOW_MS, SHED, XIANGYUNLI, Cast, a_cast

RULE_SET = "/v1/rules/overrides"
DRY_RUN = "/v1/rules/dry-run"
HOTTER = f'# 夏天\n[[override]]\ncompound = "{XIANGYUNLI}"\nSHED_OVERTEMP.raises = ">=75"\n'


class TestWhoMayDoWhat:
    @pytest.mark.parametrize("name", ["yaxin", "viewer"])
    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", RULE_SET), ("PUT", RULE_SET), ("POST", DRY_RUN), ("GET", DRY_RUN)],
    )
    def test_only_operators_see_and_change_figures(
        self, cast: Cast, name: str, method: str, path: str
    ) -> None:
        body = {"body": HOTTER} if method != "GET" else None
        assert cast.client(name).request(method, path, json=body).status_code == 403

    def test_the_catalogue_is_for_all_who_are_known(self, cast: Cast) -> None:
        for name in ("operator", "yaxin", "viewer"):
            assert cast.client(name).get("/v1/rules").status_code == 200
        assert cast.client(None).get("/v1/rules").status_code == 401


class TestTheCatalogue:
    def test_it_has_every_rule_by_code(self, cast: Cast) -> None:
        items = cast.client("operator").get("/v1/rules?limit=500").json()["items"]
        assert [item["code"] for item in items] == sorted(RULES)

    def test_it_comes_in_pages(self, cast: Cast) -> None:
        client = cast.client("operator")
        codes: list[str] = []
        cursor = ""
        while True:
            page = client.get(f"/v1/rules?limit=30{cursor}").json()
            codes += [item["code"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert codes == sorted(RULES)

    def test_a_rule_says_what_it_looks_at_and_its_figures(self, cast: Cast) -> None:
        client = cast.client("operator")
        (rule,) = [
            item
            for item in client.get("/v1/rules?kind=shed").json()["items"]
            if item["code"] == "SHED_OVERTEMP"
        ]
        assert rule["name"] == {"zh": "机箱过温", "en": "Box over-temperature"}
        assert (rule["enabled"], rule["clear_delay_s"], rule["responsible"]) == (
            True,
            300,
            "property",
        )
        assert rule["signs"][0] == {
            "name": "board_temp_c >=70",
            "safety": False,
            "figures": {"raises": ">=70", "clears": "<60", "delay_s": 60, "severity": "P2"},
        }

    def test_figures_of_root_causes_and_of_repeats_are_shown_too(self, cast: Cast) -> None:
        client = cast.client("operator")
        text = "[[override]]\nPORT_OVERPOWER.repeated_times = 5\nGW_OFFLINE.share = 0.9\n"
        assert client.put(RULE_SET, json={"body": text}).status_code == 200
        items = client.get("/v1/rules?limit=500").json()["items"]
        rules = {item["code"]: item for item in items}
        assert rules["PORT_OVERPOWER"]["repeated"] == {
            "times": 5,
            "within_s": 86400,
            "severity": "P2",
        }
        assert rules["SHED_OVERTEMP"]["repeated"] is None
        assert [sign["figures"] for sign in rules["GW_OFFLINE"]["signs"]] == [
            {"notice_delay_s": 120, "severity": "P2"},
            {"share": 0.9, "least": 5, "delay_s": 120, "severity": "P2"},
        ]

    def test_figures_that_hold_everywhere_are_those_shown(self, cast: Cast) -> None:
        client = cast.client("operator")
        text = (
            '[[override]]\nkind = "shed"\nSHED_OVERTEMP.raises = ">=80"\n'
            "SHED_DOOR_OPEN.enabled = false\n"
            f'[[override]]\ndevice = "{SHED}"\nSHED_OVERTEMP.raises = ">=90"\n'
        )
        assert client.put(RULE_SET, json={"body": text}).status_code == 200
        rules = {item["code"]: item for item in client.get("/v1/rules?kind=shed").json()["items"]}
        assert rules["SHED_OVERTEMP"]["signs"][0]["figures"]["raises"] == ">=80"
        assert not rules["SHED_DOOR_OPEN"]["enabled"]

    def test_an_unknown_kind_is_422(self, cast: Cast) -> None:
        assert cast.client("operator").get("/v1/rules?kind=toaster").status_code == 422


class TestTheRuleFile:
    def test_there_is_none_at_first(self, cast: Cast) -> None:
        found = cast.client("operator").get(RULE_SET).json()
        assert (found["number"], found["body"], found["changes"]) == (0, "", [])

    def test_a_file_is_put_in_force_and_told_back(self, cast: Cast) -> None:
        client = cast.client("operator")
        put = client.put(RULE_SET, json={"body": HOTTER})
        assert put.status_code == 200
        assert put.json()["differences"] == [
            f'compound {XIANGYUNLI}: SHED_OVERTEMP "board_temp_c >=70" raises: '
            "as without it -> >=75"
        ]
        got = client.get(RULE_SET).json()
        assert (got["number"], got["body"], got["created_by"]) == (1, HOTTER, "li-min")
        assert got["changes"] == [
            {
                "scope": {"compound": XIANGYUNLI},
                "code": "SHED_OVERTEMP",
                "sign": "board_temp_c >=70",
                "figure": "raises",
                "value": ">=75",
                "line": 4,
            }
        ]

    def test_a_file_with_errors_is_refused_with_the_line_of_each(self, cast: Cast) -> None:
        text = "[[override]]\nSHED_SMOKE.enabled = false\nSHED_OVERTEMP.delay_s = -1\n"
        answer = cast.client("operator").put(RULE_SET, json={"body": text})
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["type"] == "urn:courtyard:problem:bad-rule-file"
        assert [error["line"] for error in problem["errors"]] == [2, 3]
        assert "cannot be switched off" in problem["errors"][0]["detail"]
        with reading(cast.engine) as connection:
            assert newest(connection).number == 0

    def test_a_compound_that_is_not_there_is_an_error_of_the_file(self, cast: Cast) -> None:
        text = HOTTER.replace(XIANGYUNLI, "atlantis")
        problem = cast.client("operator").put(RULE_SET, json={"body": text}).json()
        assert problem["errors"][0]["line"] == 3

    def test_a_body_that_is_none_is_422(self, cast: Cast) -> None:
        for body in ({}, {"body": 1}, {"body": "", "more": 1}, {"body": "x" * 300_000}):
            assert cast.client("operator").put(RULE_SET, json=body).status_code == 422


class TestDryRuns:
    def test_one_is_started_with_the_range_and_the_file(self, cast: Cast) -> None:
        body = {"body": HOTTER, "from": "2026-11-23T08:00:00Z", "to": "2026-11-23T09:00:00Z"}
        answer = cast.client("operator").post(DRY_RUN, json={**body, "compound": XIANGYUNLI})
        assert answer.status_code == 202
        assert answer.json()["state"] == "running"
        ((run, text),) = cast.dry_runs.started
        assert (text, run.compound, run.to_ms - run.from_ms) == (HOTTER, XIANGYUNLI, 3_600_000)

    def test_a_long_range_is_cut_to_its_newest_48_hours(self, cast: Cast) -> None:
        body = {"body": "", "from": "2026-11-01"}
        cast.client("operator").post(DRY_RUN, json=body)
        ((run, _),) = cast.dry_runs.started
        assert (run.to_ms, run.to_ms - run.from_ms) == (NOW_MS, 48 * 3_600_000)

    def test_a_second_one_waits_for_the_first(self, cast: Cast) -> None:
        client = cast.client("operator")
        client.post(DRY_RUN, json={"body": ""})
        cast.dry_runs.busy = True
        answer = client.post(DRY_RUN, json={"body": ""})
        assert answer.status_code == 409
        assert answer.json()["dry_run"]["state"] == "running"

    def test_sent_again_under_its_key_it_is_started_once(self, cast: Cast) -> None:
        client = cast.client("operator")
        body, headers = {"body": HOTTER}, {"Idempotency-Key": "k1"}
        first = client.post(DRY_RUN, json=body, headers=headers)
        cast.dry_runs.busy = True  # and it runs
        cast.now_ms += 60_000
        again = client.post(DRY_RUN, json=body, headers=headers)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.content == again.content
        assert len(cast.dry_runs.started) == 1
        assert client.post(DRY_RUN, json={"body": HOTTER}).status_code == 409

    def test_one_that_was_refused_is_started_under_the_same_key(self, cast: Cast) -> None:
        client = cast.client("operator")
        body, headers = {"body": HOTTER}, {"Idempotency-Key": "k1"}
        cast.dry_runs.busy = True
        assert client.post(DRY_RUN, json=body, headers=headers).status_code == 409
        cast.dry_runs.busy = False
        assert client.post(DRY_RUN, json=body, headers=headers).status_code == 202
        assert len(cast.dry_runs.started) == 1

    def test_what_came_of_it_is_told(self, cast: Cast) -> None:
        client = cast.client("operator")
        assert client.get(DRY_RUN).status_code == 404
        fault = {
            "code": "SHED_OVERTEMP",
            "subject": SHED,
            "compound": XIANGYUNLI,
            "severity": "P2",
            "since": "2026-11-23T08:00:00Z",
            "opened_at": "2026-11-23T08:01:00Z",
        }
        result = {
            "messages": 7,
            "judged_from": "2026-11-23T07:00:00Z",
            "codes": [{"code": "SHED_OVERTEMP", "today": 1, "changed": 0}],
            "only_today": [fault],
            "only_changed": [],
            "limited": False,
        }
        run = DryRun(NOW_MS, NOW_MS - 1000, NOW_MS, None)
        cast.dry_runs.run = replace(run, state="done", percent=100, result=result)
        found = client.get(DRY_RUN).json()
        assert (found["state"], found["percent"], found["result"]) == ("done", 100, result)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"body": "[[override]]\nSHED_SMOK.enabled = true"}, 422),
            ({"body": "", "compound": "atlantis"}, 404),
            ({"body": "", "from": "yesterday"}, 422),
            ({"body": "", "from": "2026-11-23", "to": "2026-11-22"}, 422),
            ({}, 422),
        ],
    )
    def test_what_cannot_be_run_is_refused(
        self, cast: Cast, body: dict[str, str], status: int
    ) -> None:
        assert cast.client("operator").post(DRY_RUN, json=body).status_code == status
        assert not cast.dry_runs.started

    def test_without_a_journal_here_it_is_503(self, cast: Cast) -> None:
        client = a_cast(cast.engine, journal=False).client("operator")
        assert client.post(DRY_RUN, json={"body": ""}).status_code == 503
