"""Exports: files that take long, made in the background, piece by piece.

The one idea of this system again: pieces are appended to a log (`pieces`), and where the log ends
is where the work goes on after any end of the process. `work` makes them, `kinds` says of what,
`routes` is how people ask. The process that works is started by `courtyard`.
"""
