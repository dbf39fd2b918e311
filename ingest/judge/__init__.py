"""What the messages mean: state of devices, faults, sessions, usage, accounts.

Pure: no store, no network, no clock. `Judge` takes decoded records in journal order and gathers
`devices.judgement.Effects`; `ingest.consume` loads the state, feeds it, and commits effects and
cursor.

    plan      the rules of a kind, compiled for the way values come in
    memory    what is remembered of each device
    identity  which message is a duplicate
    timing    which clock counts, and how long we could hear
    values    which values are of now, and which can mean a fault
    signs     from values, events and silence to faults
    presence  who is there, and who has fallen silent
    use       from values and events to sessions and usage
    ledger    what became of every message
    judge     all of it, in order
"""
