"""Where a run is among its stages, and the time that it still needs, by a clock that the test
turns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from veneer.foundation.progress import PlainLines
from veneer.foundation.stages import Course, Stage, time_left

PLAN = (
    Stage("load"),
    Stage("capture", prompts={"sums": 100}, tokens=10),
    Stage("extract", share=500.0),
    Stage("measure", prompts={"sums": 50, "facts": 50}, systems=("base", "veneer"), tokens=10),
    Stage("report"),
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def answer(course: Course, clock: Clock, what: str, total: int, each: float, first: int = 0):
    """Progress of an activity, 10 units at a time."""
    course.count(first, total, what)
    for done in range(first + 10, total + 1, 10):
        clock.now += 10 * each
        course.count(done, total, what)


def test_the_plan_adds_up():
    assert [s.answers for s in PLAN] == [0, 100, 0, 200, 0]
    assert [s.work for s in PLAN] == [0, 1000, 500, 2000, 0]
    by_task = Stage("measure", prompts={"sums": 3, "facts": 2}, tokens={"sums": 10, "facts": 1})
    assert by_task.new_tokens == 32


def test_answers_that_end_early_and_the_reading_of_prompts_are_work_in_the_order_of_the_answers():
    stage = Stage(
        "measure",
        prompts={"sums": 4, "facts": 2},
        systems=("base", "aligned"),
        tokens={"sums": 10, "facts": 3},
        likely={"aligned": 5.0},
        reading=2.0,
        weight=2.0,
    )
    assert stage.answers == 12 and stage.new_tokens == 2 * (40 + 6)
    each = [12.0] * 4 + [7.0] * 4 + [5.0] * 4  # facts are shorter than what is likely
    for count in range(13):
        assert stage.work_of(count) == 2 * sum(each[:count])
    assert stage.work == stage.work_of(12) == stage.work_of(99)


def test_what_a_capture_shows_of_the_answers_lengths_changes_the_time_left(clock):
    """2 s for each captured answer: 0.2 s a token where it has 10, 0.5 s where it has 4."""
    course = Course(PLAN, clock)
    course.enter("capture")
    answer(course, clock, "capture", 100, 2.0)
    course.leave()
    assert course.seconds_left() == pytest.approx(0.2 * (500 + 2000))
    course.revise(replace(PLAN[1], likely={"": 4.0}))
    course.revise(replace(PLAN[3], likely={"veneer": 4.0}))
    assert course.seconds_left() == pytest.approx(0.5 * (500 + 1000 + 400))
    course.enter("measure base")
    answer(course, clock, "base on sums", 50, 5.0)
    course.leave()
    assert course.seconds_left() == pytest.approx(0.5 * (200 + 500 + 200))


@pytest.mark.parametrize("tokens", [0, 10])
def test_other_work_of_a_stage_is_spread_over_its_answers(clock, tokens):
    """As verdicts of stored answers, which decode nothing, and a capture's own beginning."""
    judging = Stage("judging", prompts={"x": 100}, tokens=tokens, share=400.0)
    course = Course((judging, Stage("report", share=judging.work)), clock)
    course.enter("judging")
    answer(course, clock, "judging", 50, 1.0)
    assert course.seconds_left() == pytest.approx(50 + 100)


def test_a_recorded_stage_belongs_to_the_longest_name_and_never_goes_back(clock):
    course = Course(
        (*PLAN[:3], Stage("measure", also=("answers of",)), Stage("measure last")), clock
    )
    for name, where in (
        ("capture", "2/5 capture"),
        ("load", "2/5 capture"),  # once more: the number stays
        ("extract own", "3/5 extract"),
        ("held-out", "3/5 extract"),  # in no plan
        ("answers of base", "4/5 measure"),
        ("measure last", "5/5 measure last"),
    ):
        course.enter(name)
        course.leave()
        assert course.where == where


def test_the_time_left_is_that_of_constant_speed(clock):
    """0.1 s for each of 3,500 new tokens: 350 s, and what was said before each step is right."""
    course = Course(PLAN, clock)
    course.enter("load")
    clock.now += 5
    course.leave()
    course.enter("capture")
    assert course.seconds_left() is None
    answer(course, clock, "capture", 100, 1.0)
    course.leave()
    assert course.seconds_left() == pytest.approx(250)
    course.enter("extract")
    clock.now += 20
    assert course.seconds_left() == pytest.approx(230)
    clock.now += 100  # longer than thought
    assert course.seconds_left() == pytest.approx(200 + 5)
    course.leave()
    for task, system, left in (
        ("sums", "base", 150),
        ("sums", "veneer", 100),
        ("facts", "base", 50),
        ("facts", "veneer", 0),
    ):
        course.enter(f"measure {system}")
        answer(course, clock, f"{system} on {task}", 50, 1.0)
        course.leave()
        assert course.seconds_left() == pytest.approx(left)


def test_a_pace_that_was_tried_tells_the_time_before_the_work_and_counts_as_a_tenth_of_it(clock):
    """350 of 3,500 tokens at 0.05 s, before and beside what is measured at 0.1 s."""
    course = Course(PLAN, clock)
    course.enter("load")
    assert course.seconds_left() is None
    course.expect(0.05)
    course.leave()
    course.enter("capture")
    assert course.seconds_left() == pytest.approx(0.05 * 3500)
    course.count(0, 100, "capture")
    clock.now += 9
    course.count(9, 100, "capture")
    rate = (350 * 0.05 + 90 * 0.1) / (350 + 90)
    assert course.seconds_left() == pytest.approx(rate * (3500 - 90))
    clock.now += 91
    course.count(100, 100, "capture")
    course.leave()
    course.enter("extract")
    rate = (350 * 0.05 + 1000 * 0.1) / (350 + 1000)
    assert course.seconds_left() == pytest.approx(rate * 2500)


def test_resumed_work_counts_as_done_and_not_as_fast(clock):
    course = Course(PLAN, clock)
    course.enter("capture")
    clock.now += 1
    course.count(80, 100, "capture")
    assert course.seconds_left() is None
    answer(course, clock, "capture", 100, 1.0, first=80)
    # 21 s for 200 tokens
    assert course.seconds_left() == pytest.approx(2500 * 21 / 200)
    course.leave()
    course.enter("measure base")
    course.count(50, 50, "base on sums")  # a whole file
    course.count(50, 50, "base on facts")
    assert course.seconds_left() == pytest.approx(1000 * 21 / 200)


def test_a_stage_is_estimated_by_its_own_speed_and_without_its_judges(clock):
    course = Course(PLAN, clock)
    course.enter("capture")
    answer(course, clock, "capture", 100, 1.0)
    course.leave()
    course.enter("measure base")
    answer(course, clock, "base on sums", 50, 4.0)
    course.leave()
    course.enter("judge")
    course.count(1000, 1000, "harm")
    course.leave()
    assert course.seconds_left() == pytest.approx(150 * 4.0)


def test_two_activities_of_one_name_count_twice(clock):
    course = Course((Stage("answers", prompts={"x": 20}, systems=("a", "b"), tokens=10),), clock)
    course.enter("answers of a")
    answer(course, clock, "a on x", 20, 1.0)
    answer(course, clock, "a on x", 20, 1.0)
    assert course.seconds_left() == 0


def test_work_without_a_plan_is_estimated_by_itself(clock):
    course = Course(clock=clock)
    answer(course, clock, "base on sums", 50, 1.0)
    course.count(0, 400, "veneer on sums")
    assert course.seconds_left() is None and course.where == ""
    answer(course, clock, "veneer on sums", 200, 0.5)
    course.count(200, 400, "veneer on sums")
    assert course.seconds_left() == pytest.approx(100)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than 10 s left"),
        (31, "about 30 s left"),
        (57, "about 1 min left"),
        (700, "about 12 min left"),
        (7_900, "about 2 h 10 min left"),
        (7_200, "about 2 h left"),
    ],
)
def test_a_time_is_shown_no_more_exactly_than_it_is_known(seconds, words):
    assert time_left(seconds) == words


def test_plain_lines_name_stage_and_activity_and_are_few(capsys, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("veneer.foundation.progress.time.monotonic", clock)
    line = PlainLines()
    line.follow(PLAN)
    line.course = Course(PLAN, clock)
    line.enter("load")
    line.leave()
    line.enter("capture")  # at once: no line of its own
    for done in range(0, 101, 10):
        line(done, 100, "capture")
        clock.now += 5
    line.leave()
    line.enter("measure base")
    clock.now += 10
    line(10, 50, "base on sums")
    assert capsys.readouterr().err.splitlines() == [
        "1/5 load",
        "2/5 capture: 20 of 100, about 3 min left",
        "2/5 capture: 40 of 100, about 3 min left",
        "2/5 capture: 60 of 100, about 2 min left",
        "2/5 capture: 80 of 100, about 2 min left",
        "2/5 capture: 100 of 100, about 2 min left",
        "4/5 measure, about 2 min left",
        "4/5 measure: base on sums: 10 of 50, about 2 min left",
    ]
