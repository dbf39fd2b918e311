"""What the parts of alerts are handed."""

from collections.abc import Callable

Clock = Callable[[], int]  # UTC, epoch ms
