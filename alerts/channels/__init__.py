"""The ways to reach people, each in its file: build the request, read the answer's body.

A new one is a file with a `Channel` and a line here; CONTRIBUTING.md has the rest.
"""

from collections.abc import Mapping
from types import MappingProxyType

from alerts.channel import Channel
from alerts.channels.alertmanager import Alertmanager
from alerts.channels.apprise import Apprise
from alerts.channels.dingtalk import DingTalk
from alerts.channels.email import Email, Smtp
from alerts.channels.feishu import Feishu
from alerts.channels.webhook import Webhook
from alerts.channels.wecom import WeCom
from devices.alerts import ChannelName

CHANNELS: Mapping[ChannelName, Channel] = MappingProxyType(
    {
        ChannelName.DINGTALK: DingTalk(),
        ChannelName.WECOM: WeCom(),
        ChannelName.FEISHU: Feishu(),
        ChannelName.EMAIL: Email(None),  # refuses to send: `channels` knows the server
        ChannelName.WEBHOOK: Webhook(),
        ChannelName.ALERTMANAGER: Alertmanager(),
        ChannelName.APPRISE: Apprise(),
    }
)


def channels(smtp: Smtp | None) -> Mapping[ChannelName, Channel]:
    """All channels, with e-mail by this server."""
    return {**CHANNELS, ChannelName.EMAIL: Email(smtp)}
