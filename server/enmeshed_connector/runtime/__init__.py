"""Hosted identities at work: one `AccountRuntime` each, several in a process without shared state.

`account_runtime.py` opens an account and keeps it going: `worker.py` is what the one elected replica does for it
(architecture.md, decision 7), `synchronisation.py` lets any replica ask for a sync, `event_stream.py` listens for news.
`use_cases/` holds what callers can do, a file per concern; they speak the documents of the network and know nothing of
protobuf or HTTP.
"""
