"""The limit of the log lines that unknown peers can cause."""

from tallykeeper_server.domain.log_limit import LINES_PER_SECOND_MAX, LogLimit


def test_ten_lines_pass_in_a_second_and_the_next_has_the_number_left_out() -> None:
    now = [0.0]
    limit = LogLimit(clock=lambda: now[0])

    admitted = [limit.admit() for _ in range(1_000)]
    now[0] = 1.0
    first, second = limit.admit(), limit.admit()

    assert admitted == [{}] * LINES_PER_SECOND_MAX + [None] * (1_000 - LINES_PER_SECOND_MAX)
    assert first == {"unlogged": 1_000 - LINES_PER_SECOND_MAX}
    assert second == {}


def test_the_first_line_passes_at_any_time_of_the_clock() -> None:
    assert LogLimit(clock=lambda: 0.0).admit() == {}
