"""The changes of the books: looks at the servers, jumps of the clock, grants; each alone and as a whole."""

from __future__ import annotations

import time

from lab.accounting import books, rates
from lab.accounting.books import Allocation, Books
from lab.accounting.openstack import Cloud
from lab.errors import LabError


def open_books() -> None:
    """Opens the books where there are none."""
    with books.alone():
        if not books.FILE.exists():
            books.save(books.opened(time.time()))


def look(cloud: Cloud) -> Books:
    """Enters what the servers burn now.

    Raises:
        LabError: if Nova does not answer, or the books are not there or damaged.
    """
    with books.alone():
        return _looked(cloud)


def jump(cloud: Cloud, seconds: float) -> Books:
    """Puts the clock ahead. The servers burn through the time between as they stand.

    Raises:
        LabError: as ``look``; the clock has not moved then.
    """
    with books.alone():
        looked = _looked(cloud)
        jumped = looked.model_copy(update={"clock": looked.clock.jumped(seconds, real=time.time())})
        books.save(jumped)
        return jumped


def speed(factor: float) -> Books:
    """Sets how many seconds the clock goes in one, 0 or more.

    Raises:
        LabError: if there are no books, or they are damaged.
    """
    with books.alone():
        found = books.load()
        sped = found.model_copy(update={"clock": found.clock.sped(factor, real=time.time())})
        books.save(sped)
        return sped


def reset(cloud: Cloud) -> Books:
    """Begins new books: the real time, nothing used, the default allocation.

    Raises:
        LabError: if Nova does not answer; the books are as they were then.
    """
    with books.alone():
        fresh = books.opened(time.time(), rates.burn(cloud.servers()))
        books.save(fresh)
        return fresh


def grant(allocation: Allocation) -> Books:
    """Replaces the allocation.

    Raises:
        LabError: if it ends before it starts or has not started, or as ``speed``.
    """
    with books.alone():
        found = books.load()
        today = books.day(found.clock.at(time.time()))
        if allocation.end < allocation.start:
            raise LabError(
                f"--end {allocation.end} is before the start, {allocation.start}. Choose a later end."
            )
        if allocation.start > today:
            raise LabError(
                f"--start {allocation.start} is after the lab's day, {today}. Start by then, or jump first."
            )
        granted = found.granted(allocation, real=time.time())
        books.save(granted)
        return granted


def _looked(cloud: Cloud) -> Books:
    known = books.load()
    servers = cloud.servers()
    looked = known.metered(rates.burn(servers), rates.unknown(servers), real=time.time())
    if looked is not known:
        books.save(looked)
    return looked
