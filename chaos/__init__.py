"""Kill loops and outages against the real processes, and the checker that says what was lost.

`make chaos` runs all of it at full size, which takes hours; `python -m chaos kills --kills 20`
runs one scenario. Nothing here is part of the product: no switch for it exists in there.
"""
