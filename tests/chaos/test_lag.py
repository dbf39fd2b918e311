"""How far the judge is behind: since when the journal has held what is not judged."""

from pathlib import Path

from chaos.district import Plan
from chaos.lag import LagWatch
from chaos.rig import Rig


def test_behind_is_the_age_of_the_first_message_that_is_not_judged(tmp_path: Path) -> None:
    watch = LagWatch(Rig(tmp_path, Plan(1, 1, 1, 60, ()), 1883))
    watch.look(100.0, 50, 50)
    assert (watch.most_s, watch.most_messages) == (0.0, 0)
    watch.look(101.0, 80, 50)
    watch.look(104.0, 90, 79)
    assert (watch.most_s, watch.most_messages) == (3.0, 30)
    watch.look(105.0, 95, 80)  # what came at 101 is judged: the next one came at 104
    assert watch.most_s == 3.0
    watch.look(110.0, 95, 80)
    assert (watch.most_s, watch.most_messages) == (6.0, 30)
