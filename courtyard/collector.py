"""How often Python's garbage collector looks around, in processes that handle messages."""

import gc


def let_rest() -> None:
    """Make it look seldom.

    Messages come by the thousand, live for a second and hold no cycles: measured, looking every
    700 objects, the default, takes more CPU than everything that ingest does with them.
    """
    gc.set_threshold(50_000, 20, 100)
