"""What the messages mean: state of devices, faults, sessions, usage, accounts.

Pure: no store, no network, no clock. `Judge` takes decoded records in journal order and gathers
`devices.judgement.Effects`; `ingest.consume` loads the state, feeds it, and commits effects and
cursor.

    plan      the rules of a kind, compiled for the way values come in
    memory    what is remembered of each device
    identity  which message is a duplicate
    timing    which clock counts
    signs     from values and events to faults
    use       from values and events to sessions and usage
    judge     all of it, in order
"""
