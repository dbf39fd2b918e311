import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.messages import Value
from devices.store.telemetry.line_protocol import CACHED_NAMES, LineEncoder
from devices.telemetry import BadPoint, Point
from tests.fake_influxdb import Line, parse

NOON = 1_795_399_200_000

values = st.one_of(
    st.floats(-(2.0**53), 2.0**53),
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.text(max_size=20),
)


def encode(*points: Point) -> str:
    return LineEncoder().encode(points).decode()


def a_point(**fields: Value) -> Point:
    return Point("gate", "yaxin", "yaxin-g1", NOON, fields)


class TestSpelling:
    def test_a_point_is_one_line(self) -> None:
        line = encode(a_point(door_state="closed", rssi_dbm=-61.0, online=True))
        assert line == (
            'gate,compound=yaxin,device=yaxin-g1 door_state="closed",rssi_dbm=-61.0,online=true'
            " 1795399200000"
        )

    @pytest.mark.parametrize(
        ("value", "spelled"),
        [
            (5, "5.0"),  # `5` would do as well, `5i` would be another type
            (5.0, "5.0"),
            (2**53, "9007199254740992.0"),
            (1e-7, "1e-07"),
            (-0.0, "-0.0"),
            (True, "true"),
            (False, "false"),
            ('say "a\\b"', r'"say \"a\\b\""'),
            ("a\nb", '"a\nb"'),
        ],
    )
    def test_each_type_has_one_spelling(self, value: Value, spelled: str) -> None:
        assert encode(a_point(f=value)) == (
            f"gate,compound=yaxin,device=yaxin-g1 f={spelled} 1795399200000"
        )

    def test_separators_in_names_are_escaped(self) -> None:
        point = Point("a,b c=d", "e,f g=h", 'i,j k=l"m', 1, {"n,o p=q": True})
        assert encode(point) == (
            r'a\,b\ c=d,compound=e\,f\ g\=h,device=i\,j\ k\=l"m n\,o\ p\=q=true 1'
        )

    def test_points_are_separated_by_newlines_in_their_order(self) -> None:
        points = [a_point(f=float(n)) for n in range(3)]
        lines = encode(*points).split("\n")
        assert [line.split(" ")[1] for line in lines] == ["f=0.0", "f=1.0", "f=2.0"]

    def test_the_encoder_keeps_a_bounded_number_of_names(self) -> None:
        encoder = LineEncoder()
        for n in range(CACHED_NAMES + 2):
            encoder.encode([Point("gate", "yaxin", f"g{n}", 1, {f"f{n}": True})])
        assert len(encoder._prefixes) == len(encoder._keys) == 2


class TestRefusing:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2.0**53 + 2, 2**53 + 1])
    def test_a_number_that_would_be_lost_or_bent_is_refused_with_its_point(
        self, value: float
    ) -> None:
        with pytest.raises(BadPoint, match="gate of yaxin-g1 at 1795399200000 ms"):
            encode(a_point(good=1.0, bad=value))

    @pytest.mark.parametrize("name", ["", "a\\", "a\nb", "a\tb", "\0", "#a", "a\x7f"])
    def test_a_name_that_line_protocol_cannot_spell_is_refused(self, name: str) -> None:
        for point in (
            Point(name, "yaxin", "g1", 1, {"f": True}),
            Point("gate", name, "g1", 1, {"f": True}),
            Point("gate", "yaxin", name, 1, {"f": True}),
            Point("gate", "yaxin", "g1", 1, {name: True}),
        ):
            with pytest.raises(BadPoint, match="cannot name"):
                encode(point)


@given(
    st.lists(
        st.builds(
            Point,
            st.text(min_size=1, max_size=8),
            st.text(min_size=1, max_size=8),
            st.text(min_size=1, max_size=8),
            st.integers(-(2**43), 2**43),
            st.dictionaries(st.text(min_size=1, max_size=8), values, min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_encoded_reads_back_as_the_same_points(points: list[Point]) -> None:
    try:
        text = encode(*points)
    except BadPoint:
        return
    assert list(parse(text)) == [
        Line(
            point.measurement,
            (("compound", point.compound), ("device", point.device)),
            {
                name: value if isinstance(value, bool | str) else float(value)
                for name, value in point.fields.items()
            },
            point.at_ms,
        )
        for point in points
    ]
