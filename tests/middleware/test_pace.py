"""The pace of one model against servers of every kind, in simulated time."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from openai_async import RateLimit
from openai_async.middleware.pacing.bucket import BURST, Bucket
from openai_async.middleware.pacing.pace import INITIAL_WINDOW, Pace
from openai_async.types.rate_limits import RateLimits

from .simulation import Job, Server

IDEAL = (600 - 20) / 20  # seconds: 600 requests, 20 a second, 20 of them at once


def second(server: Server) -> float:
    return 1.0


def until_full(server: Server) -> float:
    return server.reset


def silent(server: Server) -> None:
    return None


# --- the server of the goal: 1,200 a minute, 20 at once, and no limit given by the user ---


def test_a_server_with_headers_refuses_nothing_and_is_used_to_its_limit() -> None:
    job = Job(Server(headers=True)).run()
    assert job.refused == 0
    assert job.seconds < 1.1 * IDEAL


@pytest.mark.parametrize("retry_after", [lambda s: s.next_one, second, until_full, silent])
def test_a_server_without_headers_refuses_one_percent_at_most(
    retry_after: Callable[[Server], float | None],
) -> None:
    job = Job(Server(retry_after=retry_after)).run()
    assert job.refused <= 6
    assert job.seconds < 1.1 * IDEAL


@pytest.mark.parametrize("headers", [False, True])
@pytest.mark.parametrize("adaptive", [False, True])
def test_with_the_limit_configured_nothing_is_refused(headers: bool, adaptive: bool) -> None:
    limit = RateLimit(requests_per_minute=1200, adaptive=adaptive)
    job = Job(Server(headers=headers), limit).run()
    assert job.refused == 0
    assert job.seconds < 1.1 * IDEAL


# --- other servers ---


@pytest.mark.parametrize("latency", [0.3, 3.0])
def test_slow_answers_do_not_mislead(latency: float) -> None:
    job = Job(Server(headers=True), latency=latency).run()
    assert job.refused <= 6
    # The last of them are answered late, and of the first only a few are sent before one is.
    assert job.seconds < 1.1 * IDEAL + 2 * latency + 100 / 20


def test_a_bucket_of_a_whole_minute_is_used_up_over_a_minute() -> None:
    server = Server(burst=1200, headers=True)
    job = Job(server, requests=2400).run()
    assert job.refused == 0
    first_second = sum(at < 1 for at in server.accepted)
    assert first_second < 4 * 20  # no herd, though 1,200 were allowed at once
    assert job.seconds < 2400 / 20


def test_requests_are_spread_over_a_window_without_a_herd_at_its_end() -> None:
    server = Server(rate=5, window=60, headers=True)
    job = Job(server, requests=900).run()
    assert job.refused == 0
    assert job.seconds < 1.1 * 900 / 5
    in_a_second = [sum(at <= t < at + 1 for t in server.accepted) for at in server.accepted]
    assert max(in_a_second) < 5 * 5


def test_a_daily_limit_is_not_taken_for_that_of_a_minute() -> None:
    # Groq's x-ratelimit-limit-requests is that of a day. What it has left may be used at once.
    server = Server(rate=200 / 86400, burst=200, headers=True, limit=200)
    job = Job(server, requests=50, latency=0.3).run()
    assert job.refused == 0
    assert job.seconds < 60


def test_a_limit_of_a_second_is_not_taken_for_that_of_a_minute() -> None:
    job = Job(Server(headers=True, limit=20)).run()
    assert job.refused == 0
    assert job.seconds < 1.1 * IDEAL


def test_a_limit_that_falls_is_found_again() -> None:
    server = Server(rate=100, burst=100)
    job = Job(server, requests=2000)
    job.at(10.0, lambda now: setattr(server, "rate", 20.0))
    job.run()
    assert len([at for at in server.refused if at > 12]) < 40
    assert job.seconds < 1.3 * (10 + (2000 - 1100) / 20)


def test_a_limit_that_rises_is_found_too() -> None:
    server = Server(rate=20, burst=20)
    job = Job(server, requests=4000)
    job.at(10.0, lambda now: setattr(server, "rate", 200.0))
    job.run()
    assert job.seconds < 2 * (10 + (4000 - 220) / 200)


def test_a_limit_shared_with_others_is_shared() -> None:
    server = Server(rate=20, burst=20, headers=True)

    def other(now: float) -> None:
        server.arrive(now)
        if now < 40:
            job.at(now + 0.1, other)

    job = Job(server, requests=300)
    job.at(0.0, other)
    job.run()
    assert job.refused < 0.2 * len(server.accepted)


# --- while nothing is known ---


def test_it_starts_with_a_few_requests() -> None:
    pace = Pace(RateLimit())
    for _ in range(INITIAL_WINDOW):
        assert pace.wait(0, 0.0) == 0
        pace.reserve(0, 0.0)
    assert pace.wait(0, 0.0) > 0


def test_more_requests_are_sent_if_the_first_answers_take_long() -> None:
    pace, left, now = Pace(RateLimit()), 0, 0.0
    while now < 5:
        wait = pace.wait(0, now)
        assert wait < 2
        if wait <= 0:
            pace.reserve(0, now)
            left += 1
        now += max(0.0, wait)
    assert left >= 32


def test_the_first_headers_open_up() -> None:
    pace = Pace(RateLimit())
    first, _ = (pace.reserve(0, 0.0) for _ in range(2))
    known = RateLimits(limit_requests=6000, remaining_requests=5999, reset_requests=0.01)
    pace.succeeded(first, known, 0.2)
    assert pace.wait(0, 0.2) == 0


def test_a_server_that_reveals_no_limit_gets_more_and_more_requests_at_once() -> None:
    job = Job(Server(rate=1e6, burst=1e6), requests=20_000, concurrency=256, latency=0.1).run()
    assert job.refused == 0
    assert job.seconds < 1.2 * 20_000 / 256 * 0.1  # the opening takes no more than a fifth


def test_headers_that_leave_out_half_are_not_enough() -> None:
    # Azure tells what is left, not of how much: a 429 has to tell the rest.
    known = RateLimits(remaining_requests=0)
    pace = Pace(RateLimit())
    pace.rate_limited(pace.reserve(0, 0.0), known, 0.1, 0.0)
    assert pace.requests.rate < math.inf


def test_a_limit_used_up_before_the_start_does_not_slow_us_down_later() -> None:
    pace = Pace(RateLimit())
    used_up = RateLimits(limit_requests=6000, remaining_requests=0, reset_requests=60)
    pace.rate_limited(pace.reserve(0, 0.0), used_up, 1.0, 0.0)
    assert pace.requests.rate == pytest.approx(100)


def test_not_adaptive_means_just_the_limits_given() -> None:
    pace = Pace(RateLimit(adaptive=False))
    reservations = [pace.reserve(0, 0.0) for _ in range(1000)]
    pace.rate_limited(reservations[0], None, 60.0, 0.1)
    assert pace.wait(0, 0.1) == 0


# --- a 429 ---


def test_one_429_makes_all_requests_wait_as_long_as_it_asks() -> None:
    pace = Pace(RateLimit(requests_per_minute=6000))
    reservation = pace.reserve(0, 0.0)
    pace.rate_limited(reservation, None, 7.0, 1.0)
    assert pace.wait(0, 1.0) == pytest.approx(7.0)
    assert pace.wait(0, 7.9) == pytest.approx(0.1)
    assert pace.wait(0, 8.0) == 0


HEADERS = RateLimits(limit_requests=6000, remaining_requests=5000, reset_requests=10)


def rate_after_refusals(known: RateLimits | None, *left_at: float) -> float:
    """Of a server whose answers have these headers, or none; all were refused at 1.1 s."""
    pace = Pace(RateLimit())
    pace.succeeded(pace.reserve(0, 0.0), known, 0.1)
    for at in left_at:
        pace.rate_limited(pace.reserve(0, at), None, 1.0, 1.1)
    pace.succeeded(pace.reserve(0, 1.1), known, 1.1)
    return pace.requests.rate


@pytest.mark.parametrize("known", [None, HEADERS])
def test_of_requests_rejected_together_only_the_first_slows_down(
    known: RateLimits | None,
) -> None:
    together = rate_after_refusals(known, *[1.0] * 10)
    assert together == pytest.approx(rate_after_refusals(known, 1.0))


@pytest.mark.parametrize("known", [None, HEADERS])
def test_a_request_sent_after_a_429_and_rejected_slows_down_again(
    known: RateLimits | None,
) -> None:
    assert rate_after_refusals(known, 1.0, 1.1) < 0.8 * rate_after_refusals(known, 1.0)


def test_a_429_that_asks_for_less_ends_no_pause() -> None:
    pace = Pace(RateLimit(requests_per_minute=6000))
    first, second = pace.reserve(0, 0.0), pace.reserve(0, 0.0)
    pace.rate_limited(first, None, 7.0, 1.0)
    pace.rate_limited(second, None, 1.0, 1.0)
    assert pace.wait(0, 1.0) == pytest.approx(7.0)


def test_a_server_that_asks_for_days_is_asked_again_after_a_minute() -> None:
    pace = Pace(RateLimit())
    pace.rate_limited(pace.reserve(0, 0.0), None, 86_400, 0.0)
    assert pace.wait(0, 0.0) == pytest.approx(60.0, abs=10)
    left, now = 0, 0.0
    while now < 60 * 60:
        wait = pace.wait(0, now)
        if wait <= 0:
            left += 1
            pace.rate_limited(pace.reserve(0, now), None, 86_400, now)
        now += max(wait, 0.001)
    assert 10 < left < 300


def test_no_burst_follows_a_pause() -> None:
    pace = Pace(RateLimit(requests_per_minute=6000))
    pace.rate_limited(pace.reserve(0, 0.0), None, 60.0, 0.0)
    left = 0
    while pace.wait(0, 60.0) <= 0:
        pace.reserve(0, 60.0)
        left += 1
    assert left <= BURST * pace.requests.rate + 1


# --- what never left ---


def test_an_unsent_request_makes_room_for_another_while_no_limit_is_known() -> None:
    pace = Pace(RateLimit())
    for _ in range(INITIAL_WINDOW):
        reservation = pace.reserve(0, 0.0)
    assert pace.wait(0, 0.0) > 0
    pace.cancel_reservation(reservation)
    assert pace.wait(0, 0.0) == 0


def test_an_unsent_request_costs_no_request() -> None:
    pace = Pace(RateLimit(requests_per_minute=60, adaptive=False))
    reservation = pace.reserve(0, 0.0)
    assert pace.wait(0, 0.0) == pytest.approx(1.0)
    pace.cancel_reservation(reservation)
    assert pace.wait(0, 0.0) == 0


def test_an_unsent_request_costs_no_tokens() -> None:
    pace = Pace(RateLimit(tokens_per_minute=6000, adaptive=False))
    reservation = pace.reserve(3000, 0.0)
    assert pace.wait(50, 0.0) == pytest.approx(30.0)
    pace.cancel_reservation(reservation)
    assert pace.wait(50, 0.0) == 0


# --- buckets ---


def test_a_cost_larger_than_the_bucket_needs_a_full_one_and_leaves_a_debt() -> None:
    bucket = Bucket(100.0)  # holds 50
    assert bucket.wait(1000, 0.0) == 0
    bucket.reserve(1000)
    assert bucket.wait(1, 0.0) == pytest.approx(9.51)


def test_a_bucket_counts_what_left_after_the_request_whose_answer_it_reads() -> None:
    bucket = Bucket(math.inf)
    bucket.reserve(1)
    sent = bucket.sent
    for _ in range(30):
        bucket.reserve(1)
    bucket.learn(1200, 40, 1.0, sent, age=0.0, now=1.0)
    ready = 0
    while bucket.wait(1, 1.0) == 0:
        bucket.reserve(1)
        ready += 1
    assert ready == 40 - 30 - 2  # less what makes up for jitter: a tenth of a second


def test_a_window_that_is_used_up_is_waited_out() -> None:
    bucket = Bucket(math.inf)
    bucket.learn(600, 590, 40.0, 0.0, age=0.0, now=0.0)  # more comes back than fills up: a window
    bucket.learn(600, 0, 20.0, bucket.sent, age=0.0, now=20.0)
    assert bucket.wait(1, 20.0) == pytest.approx(20.0)
    assert bucket.wait(1, 39.0) == pytest.approx(1.0)
    assert bucket.wait(1, 40.0) == 0


def test_requests_that_come_back_do_not_look_like_requests_that_are_not_counted() -> None:
    bucket = Bucket(math.inf)
    for left, sent in ((100, 0), (60, 40), (6000, 40), (5980, 60)):  # a window ends in between
        bucket.calibrate_scale(6000, left, sent, age=0.0, now=1.0)
    assert bucket.scale == 1.0


def test_the_users_limit_is_not_exceeded_whatever_the_server_allows() -> None:
    bucket = Bucket(10.0)
    bucket.reserve(1)
    bucket.learn(60_000, 59_999, 0.001, 1.0, age=0.1, now=0.1)
    assert bucket.rate == 10.0


def test_one_request_that_is_far_too_large_holds_up_the_others_for_a_minute_at_most() -> None:
    bucket = Bucket(100.0)
    bucket.reserve(10**9)
    assert bucket.wait(1, 0.0) <= 60


def test_what_the_server_has_left_ends_a_debt() -> None:
    bucket = Bucket(math.inf)
    bucket.learn(60_000, 59_000, 1.0, 0.0, age=0.0, now=0.0)
    bucket.reserve(10_000)
    assert bucket.wait(100, 0.0) > 1
    bucket.learn(60_000, 59_000, 1.0, bucket.sent, age=0.0, now=0.1)
    assert bucket.wait(100, 0.1) < 1


def test_headers_end_no_debt_to_the_users_limit() -> None:
    bucket = Bucket(1000.0)
    bucket.reserve(10_000)
    bucket.learn(2_000_000, 1_900_000, 1.0, bucket.sent, age=0.0, now=0.1)
    assert bucket.wait(100, 0.1) > 9


def test_no_more_is_given_back_than_was_charged() -> None:
    pace = Pace(RateLimit(tokens_per_minute=60_000, adaptive=False))
    reservation = pace.reserve(200_000, 0.0)  # a minute's worth of debt, at most
    pace.settle(reservation, 120_000)
    assert pace.wait(500, 0.0) > 60


def test_an_oversized_request_that_is_lost_holds_up_others_for_a_minute_at_most() -> None:
    bucket = Bucket(math.inf)
    bucket.reserve(10)
    sent = bucket.sent
    bucket.reserve(10**9)
    bucket.learn(60_000, 59_000, 1.0, sent, age=0.0, now=0.1)
    assert bucket.wait(100, 0.1) < 70


@pytest.mark.parametrize(
    ("limit", "left", "reset"), [(1, 0, 1e6), (200, 0, 86_400.0), (10, 0, 3600.0)]
)
def test_whatever_headers_say_one_request_leaves_every_ten_minutes(
    limit: int, left: int, reset: float
) -> None:
    bucket = Bucket(math.inf)
    bucket.learn(limit, left, reset, 0.0, age=0.0, now=0.0)
    assert bucket.wait(1, 0.0) < 700


def test_a_limit_of_0_is_ignored() -> None:
    pace = Pace(RateLimit())
    known = RateLimits(limit_requests=0, remaining_requests=0, limit_tokens=0, remaining_tokens=0)
    pace.succeeded(pace.reserve(0, 0.0), known, 0.1)
    assert (pace.requests.rate, pace.tokens.rate) == (math.inf, math.inf)


# --- tokens ---


def test_a_request_that_was_found_wrong_has_cost_no_tokens() -> None:
    pace = Pace(RateLimit(tokens_per_minute=6000, adaptive=False))
    pace.rejected_as_invalid(pace.reserve(3000, 0.0), None, 0.1)
    assert pace.wait(50, 0.1) == 0


def test_a_request_that_was_refused_has_cost_no_tokens() -> None:
    pace = Pace(RateLimit(tokens_per_minute=6000, adaptive=False))
    pace.rate_limited(pace.reserve(3000, 0.0), None, None, 0.1)
    assert pace.wait(50, 0.1) == 0


def test_tokens_bind_as_requests_do() -> None:
    pace = Pace(RateLimit(tokens_per_minute=6000, adaptive=False))  # 100 a second
    pace.reserve(500, 0.0)
    assert pace.wait(100, 0.0) == pytest.approx(5.0)


def test_usage_settles_the_estimate_and_corrects_the_next_ones() -> None:
    pace = Pace(RateLimit(tokens_per_minute=6000, adaptive=False))
    for _ in range(100):
        reservation = pace.reserve(100 * pace.correction, 0.0)
        pace.settle(reservation, 300)
    assert pace.correction == pytest.approx(3.0, rel=0.01)


def test_an_overestimate_is_refunded() -> None:
    pace = Pace(RateLimit(tokens_per_minute=6000, adaptive=False))
    reservation = pace.reserve(1050, 0.0)
    pace.settle(reservation, 60)
    assert pace.wait(50, 0.0) == pytest.approx(0.6)


def static_headers(pace: Pace, requests: int) -> float:
    """Seconds for so many requests, each answered at once, by the same headers."""
    known = RateLimits(limit_requests=6000, remaining_requests=5999, reset_requests=0.01)
    now = 0.0
    for _ in range(requests):
        wait = pace.wait(0, now)
        now += max(0.0, wait if wait < math.inf else 0.01)
        pace.succeeded(pace.reserve(0, now), known, now)
    return now


def test_headers_that_count_nothing_do_not_hold_up_for_long() -> None:
    # A mock, or a gateway that copies headers: as much is left, however much is taken.
    pace = Pace(RateLimit())
    static_headers(pace, 2000)
    assert static_headers(pace, 20_000) < 10  # at 100 a second it would be 200


def test_after_a_429_headers_are_believed_again() -> None:
    pace = Pace(RateLimit())
    now = static_headers(pace, 2000)
    before = pace.requests.rate
    for _ in range(20):
        now += 1
        pace.rate_limited(pace.reserve(0, now), None, 0.5, now)
    known = RateLimits(limit_requests=6000, remaining_requests=0, reset_requests=60)
    pace.succeeded(pace.reserve(0, now), known, now)
    assert pace.requests.rate <= 100 < before
