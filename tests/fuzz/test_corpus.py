"""Every file of the corpus ends as its line in fates.json says, by the fast form and the exact."""

import json
from pathlib import Path

import pytest

from devices.journal import Raw
from devices.messages import Decoded, Reading
from ingest.decode import Decoder
from tests.fuzz.engine import CORPUS, IMEI, START_MS, TASMOTA, a_registry, payload_in
from tests.fuzz.pipeline import EXACT, ExactDecoder

FATES: dict[str, str] = json.loads((CORPUS / "fates.json").read_text())
FILES = sorted(path for path in CORPUS.glob("*/*"))
REGISTRY = a_registry()
DECODERS = {"fast": Decoder(REGISTRY), "exact": ExactDecoder(REGISTRY, EXACT)}
SHED = b"courtyard/v1/jiaogong-xiaoqu/shed/shed-1/telemetry"


def message(path: Path) -> tuple[bytes, bytes]:
    """Topic and payload."""
    content = payload_in(path)
    match path.parent.name:
        case "topics":
            return content, b'{"values":{"door_state":"open"}}'
        case "juy":
            return f"JUY/D2S/{IMEI}/82/DEV".encode(), content
        case "tasmota":
            channel = "LWT" if path.suffix == ".txt" else "SENSOR"
            channel = "STATE" if b'"POWER"' in content else channel
            return f"tele/{TASMOTA}/{channel}".encode(), content
    return SHED, content


def fate(said: Decoded | Reading) -> str:
    decoded = said.unfold() if isinstance(said, Reading) else said
    if decoded.reason is not None:
        return str(decoded.reason)
    reasons = sorted({str(rejected.reason) for rejected in decoded.rejected})
    without = f", without {', '.join(reasons)}" if reasons else ""
    values = [report.values for item in decoded.items for report in item.reports]
    smoke = ", smoke" if any(of_one.get("smoke") is True for of_one in values) else ""
    return f"stored{without}{', unknown' if decoded.unknown else ''}{smoke}"


def test_every_file_has_a_fate_and_every_fate_a_file() -> None:
    assert {f"{path.parent.name}/{path.name}" for path in FILES} == set(FATES)


@pytest.mark.parametrize("form", DECODERS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_of_the_corpus_ends_as_it_must(path: Path, form: str) -> None:
    topic, payload = message(path)
    for _ in range(2):  # the second time from the caches
        said = DECODERS[form].read(Raw(topic, payload, 0, START_MS, "unassigned"))
        assert fate(said) == FATES[f"{path.parent.name}/{path.name}"]
