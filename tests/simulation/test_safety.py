# SPDX-License-Identifier: Apache-2.0
"""Somebody asks "is everything safe?" all the time, whatever happens: yes must be true.

True means: what stood on the disk at the moment for which the answer holds, and still stands there,
is content that the server's journal has.
"""

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from drystone.core.content.hashing import ContentHasher
from drystone.core.errors import DrystoneError
from drystone.core.safety import Answer, Evidence, Safety, judge
from drystone.testing.world import running
from drystone.testing.world.drawing import ACCIDENTS, draw_script
from drystone.testing.world.ledger import Broken, show_content
from drystone.testing.world.stage.device import WorldDevice
from drystone.testing.world.stage.timeline import Killed

UNFORESEEN = ("deaf", "jump")
"""A system that does not tell what changes and does not say so; a clock that jumps: as of when an
answer holds means nothing then."""

BATCH, BATCHES = 25, 4
SEED_0 = 5_000_000
_OFTEN_S, _SELDOM_S = 0.37, 61.0
_OFTEN_COUNT = 120


class AskedWorld(running.World):
    """A world in which each device is asked.

    Attributes:
        answers: How often each answer was given.
    """

    def begin(self) -> None:
        super().begin()
        self.answers: Counter[Answer] = Counter()
        self._askers = [asyncio.ensure_future(self._ask(d)) for d in self.devices.values()]

    def end(self) -> None:
        for asker in self._askers:
            asker.cancel()
        super().end()

    async def _ask(self, device: WorldDevice) -> None:
        seen: list[tuple[float, set[bytes]]] = []
        for number in range(100_000):
            await asyncio.sleep(_OFTEN_S if number < _OFTEN_COUNT else _SELDOM_S)
            asked_s = self.timeline.time()
            seen.append((asked_s, self._list(device)))
            if device.loop is None:
                continue
            with suppress(Killed, DrystoneError, RuntimeError, TimeoutError):
                evidence = await asyncio.wait_for(device.loop.survey(), 30.0)
                safety = judge(evidence)
                self.answers[safety.answer] += 1
                if safety.answer == Answer.YES:
                    holds_s = asked_s - (evidence.now_ns - safety.as_of_ns) / 1e9
                    then = [contents for at_s, contents in seen if at_s <= holds_s]
                    self._check(device, then[-1] if then else set())

    def _check(self, device: WorldDevice, then: set[bytes]) -> None:
        held = {record.entry.content for record in self.server.read_journal()}
        hashes = {content.content_hash for content in held if content is not None}
        for content in then & self._list(device):
            hasher = ContentHasher()
            hasher.feed(content)
            if content and hasher.finish() not in hashes:
                what = f"{device.name} called {show_content(content)} safe, and it is not"
                self._broken = self._broken or Broken("safe", what)

    def _list(self, device: WorldDevice) -> set[bytes]:
        """What is to be synced: rules may leave out what only this disk has."""
        return {
            content
            for path, content in device.disk.hand.list_tree().items()
            if isinstance(content, bytes) and not device.is_left_out(path)
        }


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(BATCHES))
def test_yes_is_true_whenever_it_is_said(batch: int) -> None:
    accidents = [kind for kind in ACCIDENTS if kind not in UNFORESEEN]
    answers: Counter[Answer] = Counter()
    for seed in range(SEED_0 + batch * BATCH, SEED_0 + (batch + 1) * BATCH):
        world = AskedWorld(draw_script(seed, accidents=accidents))
        verdict = world.run()
        assert verdict.law != "safe", f"seed {seed}: {verdict.what}"
        answers += world.answers

    assert answers[Answer.YES] > BATCH, "else it proves nothing"
    assert answers[Answer.NOT_YET] > BATCH


def test_a_wrong_yes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The law can break: a client that sees no doubt anywhere is caught."""

    def judge_blindly(evidence: Evidence) -> Safety:
        return Safety(Answer.YES, (), evidence.now_ns)

    monkeypatch.setitem(globals(), "judge", judge_blindly)
    laws = [AskedWorld(draw_script(seed, accidents=())).run().law for seed in range(1, 6)]

    assert "safe" in laws
