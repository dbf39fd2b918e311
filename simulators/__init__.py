"""The simulated field: the district's devices, what they do and what befalls them.

Behaviour is a function of (state, now, rng); `fleet` puts it into one order of time, `publisher`
sends it over MQTT as it happens, `history` writes it with simulated receive times. `truth` says
what really happened. Nothing here is shared with `ingest`: the encoders are written from the
vendors' documents, so that simulator and decoder cannot share a mistake.
"""
