"""The table of faults, all groups of it."""

from __future__ import annotations

from .answer_faults import answer_faults
from .connection_faults import connection_faults
from .fault import Fault
from .server_faults import server_faults
from .stream_faults import stream_faults
from .time_faults import time_faults

FAULTS: tuple[Fault, ...] = (
    *connection_faults(),
    *answer_faults(),
    *time_faults(),
    *stream_faults(),
    *server_faults(),
)
