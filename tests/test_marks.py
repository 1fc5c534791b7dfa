"""Hints add up until a round takes them, and their loss only means that nobody knows when the next round is due."""

from redis import Redis

from labelloop.service.marks import Mark, Marks
from support.redis_process import RedisProcess


def marks(redis_server: RedisProcess, slug: str = "p") -> Marks:
    return Marks(Redis.from_url(redis_server.url), slug)


def test_hints_add_up(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    pad.note(1)
    pad.note(2, arrivals=4)
    mark = pad.note(full=True)
    assert (mark.changes, mark.arrivals, mark.full, mark.force) == (3, 4, True, False)
    assert mark.first_at <= mark.last_at


def test_the_first_hint_keeps_its_time(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    first = pad.note(1).first_at
    assert pad.note(1).first_at == first


def test_taking_empties_the_pad(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    pad.note(5, force=True)
    assert pad.take().changes == 5
    assert not pad.read()
    pad.settle()
    assert pad.take() == Mark()


def test_what_a_killed_round_took_is_taken_by_the_next(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    pad.note(5, force=True)
    pad.take()
    pad.note(2, full=True)
    mark = pad.take()
    assert (mark.force, mark.full) == (True, True)
    assert pad.training_wanted()
    pad.settle()
    assert not pad.training_wanted()


def test_what_is_put_back_is_hinted_at_again(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    pad.note(5, arrivals=1, force=True)
    pad.put_back(pad.take())
    mark = pad.read()
    assert (mark.changes, mark.arrivals, mark.force, mark.full) == (5, 1, True, False)
    pad.take()
    pad.settle()
    assert pad.take() == Mark()


def test_projects_do_not_mix(redis_server: RedisProcess) -> None:
    marks(redis_server, "one").note(5)
    assert not marks(redis_server, "two").read()


def test_a_flushed_redis_knows_no_due_time(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    pad.set_due(123.5)
    assert pad.due_at() == 123.5
    redis_server.flush()
    assert pad.due_at() is None


def test_a_push_is_wanted_until_cleared(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    assert not pad.push_wanted()
    pad.want_push()
    assert pad.push_wanted()
    pad.clear_push()
    assert not pad.push_wanted()


def test_a_push_that_is_to_begin_anew_is_not_one_that_only_goes_on(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    pad.want_push(anew=True)
    pad.want_push()
    assert pad.push_wanted_anew()
    pad.clear_push()
    assert not pad.push_wanted_anew()


def test_a_job_learns_that_another_of_its_name_has_begun(redis_server: RedisProcess) -> None:
    pad = marks(redis_server)
    first, other, elsewhere = pad.begin("push"), pad.begin("fine-tuning"), marks(redis_server, "q").begin("push")
    assert not first() and not other()
    redis_server.flush()
    assert not first()
    second = pad.begin("push")
    assert first()
    assert not any(taken() for taken in (second, other, elsewhere))
