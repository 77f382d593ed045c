"""What must go on goes on, whatever it meets, and nothing of it is hidden."""

import asyncio

import pytest

from lab.waiting import until
from lasting import beside


class Work:
    """Does what is left of ``turns``: raises an error, or ends."""

    def __init__(self, *turns: Exception | None) -> None:
        self.turns = list(turns)
        self.goes_on = 0

    async def __call__(self) -> None:
        if self.turns:
            if (turn := self.turns.pop(0)) is not None:
                raise turn
            return
        self.goes_on += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.goes_on -= 1


async def test_work_that_fails_or_ends_is_begun_again_and_that_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(ZeroDivisionError("by nothing"), None)
    async with beside("sending doves", work):
        await until(lambda: work.goes_on == 1, within=5, hoped="the third begin", instead=lambda: str(work.turns))
    assert work.goes_on == 0
    assert "sending doves has failed" in caplog.text
    assert "ZeroDivisionError: by nothing" in caplog.text
    assert "sending doves has ended, which it never should" in caplog.text


async def test_what_goes_wrong_beside_does_not_hide_it(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LookupError):
        async with beside("sending doves", Work(ZeroDivisionError())):
            raise LookupError
