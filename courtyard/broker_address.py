"""Where the broker is: as the settings say, or where the embedded one says that it listens."""

import json

from courtyard.errors import CommandError
from courtyard.settings import Settings
from ingest.broker_url import BrokerAddress


def broker_address(settings: Settings) -> BrokerAddress:
    """The broker that the settings name."""
    ca = None if settings.broker_ca is None else str(settings.broker_ca)
    return BrokerAddress.from_url(settings.broker_url.get_secret_value(), ca)


def running_broker_url(settings: Settings) -> str:
    """The URL of the broker in use, for those who do not start one. Raises CommandError."""
    if given := settings.broker_url.get_secret_value():
        return given
    file = settings.data_dir / "broker.json"
    try:
        running = json.loads(file.read_text("utf-8"))
        return f"mqtt://{running['host']}:{running['port']}"
    except (OSError, ValueError, KeyError):
        raise CommandError(
            f"no broker: COURTYARD_BROKER_URL is not set, and {file} names no embedded one; start"
            " `courtyard ingest`, which runs it, or name a broker"
        ) from None
