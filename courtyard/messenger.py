"""What the API does with targets before anything is told there: checks them, sends a test."""

from secrets import token_hex

from alerts.channel import DeliveryFailed
from alerts.channels import channels
from alerts.message import Message
from alerts.outgoing import Refused, Unreachable
from api.parts import Barred, NotAccepted, Unreached
from courtyard.alerter import KEY_BYTES, mail_server, outgoing
from courtyard.clock import now_ms
from courtyard.settings import Settings
from devices.alerts import ChannelName, Target


class Messenger:
    """For the API: checks a target that somebody makes, and sends it a test."""

    def __init__(self, settings: Settings) -> None:
        self._channels = channels(mail_server(settings))
        self._outgoing = outgoing(settings)

    def check(self, target: Target) -> None:
        self._channels[target.channel].check(target)
        if target.channel in (ChannelName.EMAIL, ChannelName.APPRISE):
            return  # no addresses of their own; what Apprise connects to is looked at when it does
        try:
            self._outgoing.check_address(target.url)
        except Unreachable as error:
            raise Unreached(str(error)) from error
        except Refused as error:
            raise Barred(str(error)) from error

    def test(self, target: Target) -> str:
        message = Message(f"test:{target.id}:{token_hex(KEY_BYTES)}", target.language, now_ms())
        try:
            return self._channels[target.channel].send(target, message, self._outgoing).answer
        except DeliveryFailed as failed:
            raise NotAccepted(failed.answer) from failed
