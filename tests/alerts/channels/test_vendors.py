"""What the vendors' documents and servers really say: signatures, requests, and error texts."""

import json

import pytest

from alerts.channel import DeliveryFailed
from alerts.channels import CHANNELS, dingtalk, feishu, wecom
from alerts.channels.dingtalk import BLOCKED_S
from devices.alerts import Target
from simulators.robots import Plan, Robots
from tests.alerts.cast import NOW_MS, SECRET, a_message, a_notice, a_target, many, to_here


def test_signatures_are_those_of_the_documents() -> None:
    # the times and secrets of the vendors' samples; made with openssl dgst -hmac:
    # printf '1577262236757\nthis is secret' | openssl dgst -sha256 -hmac 'this is secret' -binary
    signature = dingtalk.sign("this is secret", 1_577_262_236_757)
    assert signature == "hmPWwU%2B7lVdm3ZZz0r9tSfx0L4Q26jWOZr9%2BGs6EZQM%3D"
    # printf '' | openssl dgst -sha256 -mac HMAC -macopt hexkey:(1599360473\ndemo) -binary
    assert feishu.sign("demo", 1_599_360_473) == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


def test_a_request_to_dingtalk_is_an_action_card_with_a_button() -> None:
    body, _ = dingtalk.payload(a_message())
    request = json.loads(body)
    card = request["actionCard"]
    text = card.pop("text")
    assert request["msgtype"] == "actionCard"
    assert card == {
        "title": "【危急】烟雾报警，绿云小区",
        "singleTitle": "查看并处理",
        "singleURL": "https://courtyard.example.org/faults/3f9a1c",
    }
    assert text.split("\n\n")[:3] == [
        "### 【危急】烟雾报警，绿云小区",
        "**地点**：绿云小区 3 号楼 北侧",
        "**设备**：2 号充电棚 · 充电棚控制器",
    ]
    plain = json.loads(dingtalk.payload(a_message(a_notice(link=None)))[0])
    assert set(plain) == {"msgtype", "markdown", "at"}
    assert plain["at"] == {"isAtAll": False}


def test_a_request_to_dingtalk_is_signed_in_its_query(robots: Robots) -> None:
    url = robots.dingtalk("值班群", "t0ken-of-the-group", secret=SECRET)
    CHANNELS[a_target("dingtalk", url).channel].send(
        a_target("dingtalk", url, SECRET), a_message(), to_here()
    )
    assert len(robots.messages) == 1


def test_a_request_to_wecom_is_markdown_of_the_subset_it_knows() -> None:
    content, _ = wecom.payload(a_message())
    lines = content.split("\n")
    assert lines[0] == '**<font color="warning">【危急】烟雾报警，绿云小区</font>**'
    assert lines[1] == ">地点：绿云小区 3 号楼 北侧"
    assert lines[-2:] == ["[查看并处理](https://courtyard.example.org/faults/3f9a1c)", "楼院"]


def test_a_request_to_feishu_is_a_card_signed_in_its_body(robots: Robots) -> None:
    url = robots.feishu("值班群", "t0ken-of-the-group", secret=SECRET)
    CHANNELS[a_target("feishu", url).channel].send(
        a_target("feishu", url, SECRET), a_message(), to_here()
    )
    request = robots.messages[0].payload
    assert isinstance(request, dict)
    assert request["timestamp"] == str(NOW_MS // 1000)
    assert request["msg_type"] == "interactive"
    card = request["card"]
    assert card["header"] == {
        "title": {"tag": "plain_text", "content": "【危急】烟雾报警，绿云小区"},
        "template": "red",
    }
    assert [one["tag"] for one in card["elements"]] == ["div", "action", "note"]
    assert card["elements"][1]["actions"] == [
        {
            "tag": "button",
            "text": {"tag": "plain_text", "content": "查看并处理"},
            "type": "primary",
            "url": "https://courtyard.example.org/faults/3f9a1c",
        }
    ]


def test_a_digest_links_each_fault_by_its_number() -> None:
    message = a_message(*many(3))
    link = "[N001](https://courtyard.example.org/faults/3f9a1c)"
    assert link in dingtalk.payload(message)[0].decode()
    assert link in wecom.payload(message)[0]
    assert link in json.dumps(feishu.payload(message)[0], ensure_ascii=False)


# Answers as they were seen on the real servers, in both generations of DingTalk's words.
SEEN = [
    ("dingtalk", {"errcode": 310000, "errmsg": "description:关键词不匹配;solution:请联系群管理员"
                  "查看此机器人的关键词，并在发送的信息中包含此关键词;"}, "自定义关键词", None),
    ("dingtalk", {"errcode": 310000, "errmsg": "keywords not in content, more: "
                  "[https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"}, "自定义关键词", None),
    ("dingtalk", {"errcode": 310000, "errmsg": "sign not match, more: "
                  "[https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"}, "加签密钥", None),
    ("dingtalk", {"errcode": 310000, "errmsg": "description:机器人发送签名不匹配;solution:请确认"
                  "签名和生成签名的时间戳必须都放在调用的网址中"}, "加签密钥", None),
    ("dingtalk", {"errcode": 310000, "errmsg": "description:机器人发送签名过期;solution:签名生成"
                  "时间和发送时间请保持在 timestampms 以内"}, "校准本机时间", None),
    ("dingtalk", {"errcode": 310000, "errmsg": "invalid timestamp"}, "校准本机时间", None),
    ("dingtalk", {"errcode": 310000, "errmsg": "ip 1.2.3.4 not in whitelist"}, "IP 白名单", None),
    ("dingtalk", {"errcode": 310000, "errmsg": "?"}, "关键词、加签、IP", None),
    ("dingtalk", {"errcode": 300005, "errmsg": "token is not exist"}, "重新复制", None),
    ("dingtalk", {"errcode": 300001, "errmsg": "token is not exist"}, "重新复制", None),
    ("dingtalk", {"errcode": 40035, "errmsg": "缺少参数 access_token"}, "重新复制", None),
    ("dingtalk", {"errcode": 400013, "errmsg": "群已被解散"}, "机器人还在", None),
    ("dingtalk", {"errcode": 400102, "errmsg": "机器人已停用"}, "机器人还在", None),
    ("dingtalk", {"errcode": 430101, "errmsg": "含有不安全的外链"}, "公网可达", None),
    ("dingtalk", {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"},
     "130101", BLOCKED_S),
    ("dingtalk", {"errcode": 410100, "errmsg": "发送速度太快而限流"}, "410100", BLOCKED_S),
    ("dingtalk", {"status": 1111, "wait": 5, "source": "x5", "punish": "deny", "uuid": "9ff0"},
     "1111", BLOCKED_S),
    ("wecom", {"errcode": 93000, "errmsg": "invalid webhook url, hint: [1617], more info at "
               "https://open.work.weixin.qq.com/devtool/query?e=93000"}, "重新复制", None),
    ("wecom", {"errcode": 45009, "errmsg": "api freq out of limit, hint: [1]"}, "45009", 60),
    ("wecom", {"errcode": 93008, "errmsg": "not in group"}, "重新添加", None),
    ("feishu", {"code": 19021, "data": {}, "msg": "sign match fail or timestamp is not within one "
                "hour from current time"}, "签名密钥", None),
    ("feishu", {"code": 19022, "data": {}, "msg": "Ip Not Allowed"}, "IP 白名单", None),
    ("feishu", {"code": 19024, "data": {}, "msg": "Key Words Not Found"}, "自定义关键词", None),
    ("feishu", {"code": 19001, "data": {}, "msg": "param invalid: incoming webhook access token "
                "invalid"}, "重新复制", None),
    ("feishu", {"code": 11232, "msg": "frequency limited psm[lark.oapi.app_platform_runtime]"
                "appID[1500]", "data": {}}, "11232", 60),
    ("feishu", {"code": 9499, "msg": "too many request", "data": {}}, "9499", 60),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer", "said", "wait_s"), SEEN)
def test_an_answer_of_a_real_server_is_understood(
    robots: Robots, kind: str, answer: dict[str, object], said: str, wait_s: float | None
) -> None:
    target = a_robot(robots, kind)
    robots.plan(target.url, Plan(status=200, body=json.dumps(answer).encode()))
    with pytest.raises(DeliveryFailed) as caught:
        CHANNELS[target.channel].send(target, a_message(), to_here())
    assert said in caught.value.answer
    assert caught.value.wait_s == wait_s
    assert caught.value.permanent is (wait_s is None)


def a_robot(robots: Robots, kind: str) -> Target:
    match kind:
        case "dingtalk":
            return a_target(kind, robots.dingtalk("值班群", "t0ken-of-the-group"))
        case "wecom":
            return a_target(kind, robots.wecom("值班群", "t0ken-of-the-group"))
        case _:
            return a_target(kind, robots.feishu("值班群", "t0ken-of-the-group"))


def test_a_refusal_with_another_status_is_understood_too(robots: Robots) -> None:
    target = a_robot(robots, "feishu")
    body = b'{"code":19001,"msg":"param invalid: incoming webhook access token invalid"}'
    robots.plan(target.url, Plan(status=400, body=body))
    with pytest.raises(DeliveryFailed) as caught:
        CHANNELS[target.channel].send(target, a_message(), to_here())
    assert caught.value.permanent


@pytest.mark.parametrize(
    "success",
    [
        {"code": 0, "msg": "success", "data": {}},
        {"StatusCode": 0, "StatusMessage": "success", "Extra": None},  # before 2022
    ],
)
def test_both_forms_of_feishus_yes_are_one(robots: Robots, success: dict[str, object]) -> None:
    target = a_robot(robots, "feishu")
    robots.plan(target.url, Plan(status=200, body=json.dumps(success).encode()))
    receipt = CHANNELS[target.channel].send(target, a_message(), to_here())
    assert receipt.answer == "0 success"
