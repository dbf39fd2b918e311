"""The HTTP API under /v1, and the console on top of it.

A route here reads its parameters, asks `devices.store` (always with the scope of who asks) and
shapes the answer. Rules belong to `devices`, queries to `devices.store`; nothing here writes but
people's actions. The journal is handed in as a read-only view.
"""
