"""The transport layer: how things travel encrypted between this identity, its peers and its other devices.

**How this room is built.** One `AccountContext` (`context.py`) per account, frozen, is handed to one controller per
concern (`MessageController`, `TemplateController`, …). `account.py` is the one place that builds all controllers of an
account and the tables below. A controller holds no documents; it reads from `context.store` and changes through these
four seams:

- `work.py`: a change is a function over a `Work`, run by `context.commits`; documents, modifications for the datawallet
  and events become durable in one commit. Documents have the official shape (`objects.py` names collections and what of
  them travels to other devices; `schema.py` declares indexes).
- `pending.py`: a request to the Backbone that must not happen twice is an `Operation`, carried out by `context.outbox`.
- `external_events.py`: each type of external event has an `ExternalEventProcessor`, registered in `account.py`.
- `secrets.py`, `counters.py`, `keys.py`: shared secrets, counters for message keys, what this device signs with.

A request from above therefore runs so:

    earlier = await context.outbox.earlier_result(ticket)        # the same key again?
    check preconditions, read from context.store                 # errors of `errors.py`
    encrypt and sign once
    result = await context.outbox.run(operation, wire=…, plan=…, ticket=ticket, cause=cause)
    return the stored document

and an external event so: `sync_runs.py` -> processor -> work -> commit -> run finalised.

Rules: documents go in sorted (`canonical_json.sort_members`), without null; signed texts are verified as they came,
never re-serialised; events carry the public document; large crypto (over 64 KiB) and Argon2 run in a worker thread.
"""
