"""A token bucket whose rate is the server's own: requests or tokens, how many may leave now.

Time raises the level, up to half a second's worth; each request lowers it. What the answers'
headers say sets the rate anew. No I/O and no clock: times are monotonic seconds, passed in.
"""

from __future__ import annotations

from math import inf

from attrs import define, field

# The level holds no more than this many seconds' worth, so that after a pause no crowd leaves.
BURST = 0.5
# Requests that leave 50 ms apart do not arrive 50 ms apart. This many seconds' worth of what the
# server has left stays unused, to make up for that.
JITTER = 0.1
# What the server has left on top is used up over this many seconds. As it never has more left than
# the limit of a minute, that is at most twice the rate.
SURPLUS = 60.0
# A window of a minute; its reset is up to a second late where it is told in whole seconds.
WINDOW = 61.0
# When others use the same limit, 429s come in spite of the headers: we take less of it with each,
# never less than a twentieth, and find out slowly, per second, whether the others have gone.
SHARE_CUT = 0.7
SHARE_GAIN = 0.02
MIN_SHARE = 0.05
# One request that is far too large must not hold up the others for longer: seconds.
MAX_DEBT = 60.0
# Headers may be mistaken, and without a request there are no new ones: one every ten minutes.
MIN_RATE = 1 / 600
# How much has to be taken beyond what is filled up, before it must show in what is left.
EVIDENCE = 50.0


@define
class Bucket:
    """Requests or tokens of one model.

    Attributes:
        ceiling: the most that the user allows, per second; `inf` for no limit.
        rate: how fast the level rises, per second; `inf` while no limit is known.
        sent: everything ever taken. An answer compares it with what it was when its own request
            left, and so knows how much the server had not yet counted.
    """

    ceiling: float
    rate: float = field(init=False)
    sent: float = field(init=False, default=0.0)
    scale: float = field(init=False, default=1.0)
    """How many times its limit the server turned out to allow."""
    capacity: float = field(init=False)
    """The highest level."""
    _level: float = field(init=False)
    _at: float = field(init=False, default=0.0)
    _closed_until: float = field(init=False, default=-inf)
    _most_left: float = field(init=False, default=0.0)
    _windowed: bool = field(init=False, default=False)
    _share: float = field(init=False, default=1.0)
    _learned_at: float = field(init=False, default=inf)
    _mark: tuple[float, float, float] = field(init=False, default=(0.0, 0.0, -inf))

    def __attrs_post_init__(self) -> None:
        self.rate = self.ceiling
        self._level = self.capacity = max(1.0, self.rate * BURST)

    def wait(self, cost: float, now: float) -> float:
        """Seconds until `cost` may be taken; 0 for now.

        What is larger than the whole bucket may go when that is full, and leaves a debt.
        """
        if self.rate == inf:
            return 0.0
        capacity = self.capacity
        level = self._level + self.rate * (now - self._at)
        self._level = level = capacity if level > capacity else level
        self._at = now
        pause = self._closed_until - now if self._closed_until > now else 0.0
        missing = (cost if cost < capacity else capacity) - level
        # Sums of floats: a billionth of a request is none.
        return pause if missing <= 1e-9 else max(pause, missing / self.rate)

    def reserve(self, cost: float) -> float:
        """Take it, whether it is there or not; returns what was taken of the level.

        That may be less: the answer will tell whether it really costs so much.
        """
        self.sent += cost
        if self.rate == inf:
            return 0.0
        charged = min(cost, self.rate * MAX_DEBT)
        self._level -= charged
        return charged

    def refund(self, amount: float) -> None:
        """Put back what was not needed; a negative amount takes more."""
        if self.rate != inf:
            self._level += amount

    def empty(self, pause: float) -> None:
        """The server has nothing left, but one after `pause` seconds: fill up from here."""
        if self.rate != inf:
            self._level = min(self._level, max(0.0, 1 - self.rate * pause))

    def set_rate(self, rate: float, now: float) -> None:
        """From now on. What has filled up so far stays."""
        rate = min(max(rate, MIN_RATE), self.ceiling)
        capacity = max(1.0, rate * BURST)
        if self.rate == inf:
            self._level, self._at = capacity, now
        else:
            self.wait(0.0, now)
            self._level = min(self._level, capacity)
        self.rate, self.capacity = rate, capacity

    def reduce_share(self) -> None:
        """A 429 came in spite of what the headers said."""
        self.scale = max(1.0, self.scale / 2)
        self._share = max(MIN_SHARE, self._share * SHARE_CUT)

    def learn(
        self, limit: int, left: int, reset: float | None, sent: float, age: float, now: float
    ) -> None:
        """Take over what the headers of an answer say.

        Args:
            limit: requests or tokens a minute.
            left: how many of them the server had left when it counted the request of this answer.
            reset: seconds until it has all of them again.
            sent: what `self.sent` was when that request left.
            age: seconds since that request left. Servers count a request as it arrives, so `left`
                is from then.
        """
        self._share = min(1.0, self._share + SHARE_GAIN * max(0.0, now - self._learned_at))
        self._learned_at = now
        self._most_left = max(self._most_left, left)
        rate = limit / 60 * self.scale
        stock = left - (self.sent - sent) - JITTER * rate
        full = None if reset is None else left + rate * reset
        # How limits are counted shows in when they are reset. OpenAI's are buckets that fill up
        # at the rate of the limit, so that `full`, their size, is no more than the limit. Where it
        # is, everything comes back at once when a window ends, or the limit is one of an hour or
        # a day, as Groq's for requests.
        if full is not None and reset is not None and (self._windowed or full > 1.05 * limit + 1):
            self._windowed = reset <= WINDOW
            if self._windowed:
                self._follow_window(rate, stock, reset, now)
                return
            rate = (limit - left) / reset
        elif full is not None and reset and full < self._most_left - 0.5:
            # It has been fuller than this, so it fills up faster: the limit of a second.
            rate = (self._most_left - left) / reset
        stock += rate * age
        self.set_rate(self._share * (rate + max(0.0, stock) / SURPLUS), now)
        if self.rate < self.ceiling:
            # What the server has left also says that there is no debt; to the user's own limit
            # there may be one.
            self._level = max(self._level, 0.0)
        self._clamp_level(stock)

    def calibrate_scale(self, limit: int, left: int, sent: float, age: float, now: float) -> None:
        """Whether what we take shows in what is left. If it does not, there is more to be had.

        So it is with gateways that copy headers from somewhere, and with limits of other lengths
        of time than a minute. Only for what is counted exactly; the arguments are those of `learn`.
        """
        rate = limit / 60 * self.scale
        first_left, first_sent, first_at = self._mark
        surplus = sent - first_sent - rate * (now - age - first_at)
        # What fills up while a request is on its way there hides as much.
        enough = surplus >= EVIDENCE + 4 * rate * age
        if enough and first_left - left < surplus / 4:
            self.scale *= 2
        if enough or surplus < 0 or left > first_left:
            self._mark = (left, sent, now - age)

    def _clamp_level(self, stock: float) -> None:
        """No higher than what the server has left, no lower than the longest debt."""
        self._level = max(min(self._level, stock), -self.rate * MAX_DEBT)

    def _follow_window(self, rate: float, stock: float, reset: float, now: float) -> None:
        """What is left is spread over the rest of the window; then wait for the next one."""
        if stock >= 1:
            self.set_rate(self._share * stock / max(reset, 1.0), now)
            self._clamp_level(stock)
        else:
            self.set_rate(self._share * rate, now)
            self.empty(reset)
            self._closed_until = now + reset
