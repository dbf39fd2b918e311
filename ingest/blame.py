"""Which message kills the process that decodes it.

Before a record is decoded it is written down as being in hand; after the commit, that nothing is.
A start that finds something in hand follows a death:

1. the first record is committed at once, so that every start gets further, whatever it dies of
2. after a second death with the same record in hand so is every one up to it: it was written down
   before it was decoded, but a commit that kills has only the last of its records to name
3. after DEATHS consecutive deaths with the same record in hand its messages are taken one by one,
   each written down before it is decoded, and put back once it is judged
4. after DEATHS consecutive deaths with the same message in hand it is given up and not decoded

A kill from outside does not hit the few microseconds of the same message thrice in a row, so it
makes nobody give up an innocent one. Nor does a single death cost a commit a record: whoever comes
back to a backlog has other things to do, and most deaths are kills from outside.
"""

from typing import Protocol

import msgspec
import structlog

log = structlog.get_logger()

DEATHS = 3
HASTY_DEATHS = 2
REQUESTS = "requests"  # in place of a journal: messages of the quarantine that are judged again

_Place = tuple[str, int]  # journal, record
_NOWHERE: _Place = ("", 0)


class BlameStore(Protocol):
    """Bytes that outlive a killed process. Raises OSError."""

    def read(self) -> bytes: ...

    def write(self, data: bytes) -> None: ...


class _Kept(msgspec.Struct, array_like=True):
    """The note. hand, hand_jseq: what is in hand. suspect: what was at the death before this start.

    deaths, jseq_deaths: consecutive ones. given_up: messages of the suspect that are not touched.
    """

    hand: _Place = _NOWHERE
    hand_jseq: int = 0
    suspect: _Place = _NOWHERE
    deaths: int = 0
    jseq: int = 0
    jseq_deaths: int = 0
    given_up: list[int] = []


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Kept).decode


class Blame:
    """One follower's note of what it has in hand. Making one is the start that counts the deaths.

    store: None keeps no note, and then nothing is ever in hand. first: another follower in the same
    process, which is to get past what it died of before this one takes anything, so that at the
    next death it is clear which of the two it was.
    """

    def __init__(self, store: BlameStore | None = None, first: "Blame | None" = None) -> None:
        self._store = store
        self._first = first
        self._is_new = store is not None
        self._has_failed = False
        self._kept = _Kept() if store is None else _after_death(_read(store))
        if self._kept.suspect != _NOWHERE:
            log.warning(
                "died_with_record_in_hand",
                journal=self._kept.suspect[0],
                record=self._kept.suspect[1],
                times=self._kept.deaths,
                message=self._kept.jseq or None,
                given_up=self._kept.given_up,
            )
        self._write()

    @property
    def is_suspicious(self) -> bool:
        """Whether what it died of may be ahead still."""
        return self._kept.suspect != _NOWHERE

    @property
    def is_hasty(self) -> bool:
        """Whether a record is to be committed at once: the first; later all up to the suspect."""
        return self._is_new or self._kept.deaths >= HASTY_DEATHS

    @property
    def must_wait(self) -> bool:
        """Whether the other follower has to go first."""
        return self._first is not None and self._first.is_suspicious

    def stands(self, journal_id: str, position: int) -> None:
        """The follower goes on behind that record: what is before it, it has got past."""
        if self.is_suspicious and self._kept.suspect[0] == journal_id:
            self._get_past(journal_id, position + 1)

    def take(self, journal_id: str, record: int) -> bool:
        """The record is in hand from here on; whether its messages are to be taken one by one."""
        if self._store is None:
            return False
        kept = self._kept
        self._get_past(journal_id, record)
        kept.hand, kept.hand_jseq = (journal_id, record), 0
        self._write()
        return kept.hand == kept.suspect and kept.deaths >= DEATHS

    def take_message(self, jseq: int) -> bool:
        """The message is in hand too; False if it was given up, and is not to be touched."""
        kept = self._kept
        if jseq in kept.given_up and kept.hand == kept.suspect:
            return False
        if self._store is not None:
            kept.hand_jseq = jseq
            self._write()
        return True

    def put_message(self) -> None:
        """It was decoded and judged. The record is in hand still."""
        if self._store is not None:
            self._kept.hand_jseq = 0
            self._write()

    def committed(self) -> None:
        """All that was taken is committed."""
        self._is_new = False
        kept = self._kept
        if self._store is None or kept.hand == _NOWHERE:
            return
        if kept.hand == kept.suspect:
            self._forget()
        self.put_back()

    def put_back(self) -> None:
        """Nothing is in hand: it is done, or will be taken again."""
        kept = self._kept
        if kept.hand != _NOWHERE:
            kept.hand, kept.hand_jseq = _NOWHERE, 0
            self._write()

    def _get_past(self, journal_id: str, record: int) -> None:
        """A record is the next: a suspect before it, or of a journal that is gone, is past."""
        where, suspect = self._kept.suspect
        if where == journal_id:
            if suspect < record:
                self._forget()
        elif REQUESTS not in (where, journal_id):
            self._forget()

    def _forget(self) -> None:
        kept = self._kept
        kept.suspect, kept.deaths, kept.jseq, kept.jseq_deaths = _NOWHERE, 0, 0, 0
        kept.given_up = []

    def _write(self) -> None:
        if self._store is None:
            return
        try:
            self._store.write(_pack(self._kept))
        except OSError as error:  # no message may wait for what only protects against a bad one
            if not self._has_failed:
                log.warning("blame_not_written", error=str(error))
            self._has_failed = True
        else:
            self._has_failed = False


def _read(store: BlameStore) -> _Kept:
    try:
        data = store.read()
        return _unpack(data) if data else _Kept()
    except (OSError, msgspec.DecodeError) as error:
        log.warning("blame_not_read", error=str(error))
        return _Kept()


def _after_death(kept: _Kept) -> _Kept:
    """What a start makes of the note: with nothing in hand, all that was suspected is cleared."""
    if kept.hand == _NOWHERE:
        return _Kept()
    if kept.hand != kept.suspect:
        kept = _Kept(kept.hand, kept.hand_jseq, suspect=kept.hand)
    kept.deaths += 1
    if kept.hand_jseq != kept.jseq:
        kept.jseq, kept.jseq_deaths = kept.hand_jseq, 0
    if kept.jseq:
        kept.jseq_deaths += 1
        if kept.jseq_deaths >= DEATHS:
            kept.given_up.append(kept.jseq)
            kept.jseq, kept.jseq_deaths = 0, 0
    kept.hand, kept.hand_jseq = _NOWHERE, 0
    return kept
