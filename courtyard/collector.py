"""How often Python's garbage collector looks around, in processes that run for long."""

import gc


def let_rest() -> None:
    """Make it look seldom.

    Messages come by the thousand, live for a second and hold no cycles: measured, looking every
    700 objects, the default, takes more CPU than everything that ingest does with them. A page of
    the district makes ten thousand objects, among the hundred thousand that the API keeps: looking
    through those took 15 ms of the 25 of some answers.
    """
    gc.set_threshold(50_000, 20, 100)
    gc.collect()
    gc.freeze()  # modules and tables are there for good: they are not looked through again
