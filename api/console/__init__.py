"""The console: its pages, what they are drawn from, and how they are kept up to date.

A `…_pages` module has the pages of one thing, `pages` renders them. What programs ask is beside
this package; both read the same stores by the same policies.
"""
