"""The one step of a commit on MongoDB that counts: the insert into the log, repeated until its outcome is known."""

from __future__ import annotations

from collections.abc import Sequence

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, PyMongoError

from .errors import CommitOutcomeUnknown
from .mongo_connection import DUPLICATE_KEY, is_transient, storage_error, was_never_sent
from .mongo_entries import Entries, position_of
from .mongo_items import Planned
from .mongo_patience import FIRST_WAIT, Patience


class Inserter:
    """Inserts planned entries."""

    def __init__(self, entries: Entries, patience: Patience) -> None:
        """Takes the log, and how long a database that went away is waited for."""
        self._entries = entries
        self._patience = patience

    async def insert(self, planned: Sequence[Planned]) -> int:
        """Inserts entries at their positions and returns how many of them, from the first on, are in the log.

        One that the database refuses is failed; those behind it have to be planned anew.

        Raises:
            StorageUnavailable: The database is away and none of them was sent.
            CommitOutcomeUnknown: It went away and did not come back within the budget.
        """
        done = 0
        at_once = len(planned)
        wait = FIRST_WAIT
        deadline = self._patience.deadline()
        while done < len(planned):
            sent = planned[done : done + at_once]
            try:
                await self._entries.collection.insert_many([plan.entry for plan in sent], ordered=True)
                done += len(sent)
            except BulkWriteError as error:
                errors = error.details.get("writeErrors") or []
                if not errors:
                    # They are in, only the majority was not heard of in time.
                    _mark_unclear(sent)
                    continue
                # Entries before the first error are in.
                done += int(errors[0]["index"])
                if errors[0].get("code") != DUPLICATE_KEY:
                    planned[done].item.fail(storage_error(error))
                    return done
                if not await self._is_ours(planned[done], deadline):
                    return done
                done += 1
            except (PyMongoError, BSONError) as error:
                if not is_transient(error):
                    # The command as a whole was refused, because of one of them; which one shows when each is alone.
                    if len(sent) == 1:
                        planned[done].item.fail(storage_error(error))
                        return done
                    at_once = 1
                    continue
                if not was_never_sent(error):
                    _mark_unclear(sent)
                elif not any(plan.item.is_unclear for plan in sent):
                    if done:
                        return done
                    raise storage_error(error) from error
                if self._patience.is_over(deadline):
                    raise CommitOutcomeUnknown("the database went away during a commit") from error
                wait = await self._patience.wait(wait)
        return done

    async def _is_ours(self, plan: Planned, deadline: float) -> bool:
        """Returns whether the entry at a position that is taken is the one we sent."""
        item = plan.item
        if not item.is_unclear:
            return False
        entry = await self._patience.persistently(lambda: self._entries.get(position_of(plan.entry)), deadline=deadline)
        if entry is None:
            # Not seen by a majority yet, whosever it is: found again when the log is caught up with.
            return False
        # One of somebody else takes the place for good, however late ours arrives.
        item.is_unclear = bool(entry.get("commit") == item.commit_id)
        return item.is_unclear


def _mark_unclear(planned: Sequence[Planned]) -> None:
    for plan in planned:
        plan.item.is_unclear = True
