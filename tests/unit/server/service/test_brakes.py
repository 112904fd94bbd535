# SPDX-License-Identifier: Apache-2.0
"""What one device destroys in a burst waits for a human at another one."""

from random import Random

import pytest

from drystone.core import limits
from drystone.core.ids import ROOT_ID, Rev
from drystone.core.journal.change import Accepted, Create, Delete, Edit, Move
from drystone.core.tree.entry import Entry, Kind
from drystone.server.service.identity.accounts import SignInFailed
from drystone.server.service.identity.devices import DeviceNotFound
from drystone.server.service.trees.brakes import BrakeNeedsPassword, BurstHeld, UnfitAllowance
from drystone.testing.service import PASSWORD, file_id

pytestmark = pytest.mark.asyncio

MANY = limits.BRAKE_ENTRIES_MIN
FOLDER = 9_000
HOUR_S = 3600


def create(number, parent_id=ROOT_ID, kind=Kind.FOLDER, content=None):
    entry = Entry(
        file_id(number), parent_id, f"{number}", kind, content, 0o755, 0, "", Rev(0)
    )  # fmt: skip
    return Create(entry)


async def fill(server, actor, count):
    """Makes so many entries, half of them in a folder, and lets the window pass."""
    changes = [create(FOLDER)]
    changes += [create(n, file_id(FOLDER) if n % 2 else ROOT_ID) for n in range(1, count)]
    done = await server.commit(actor, changes)
    server.clock.advance(limits.BRAKE_WINDOW_S + 120)
    return {outcome.entry.file_id: outcome.rev for outcome in done.outcomes}


def delete(revs, numbers):
    return [Delete(file_id(number), revs[file_id(number)]) for number in numbers]


async def head(server, actor):
    page = await server.service.changes.read_page(actor, actor.root_namespace_id, "", None)
    return page.head


async def test_burst_is_held_and_nothing_of_it_is_done(server):
    anna = await server.sign_in()
    revs = await fill(server, anna, 2 * MANY)
    before = await head(server, anna)

    with pytest.raises(BurstHeld, match=f"{MANY + 5:,}"):
        await server.commit(anna, [*delete(revs, range(1, MANY + 6)), create(5_000)], key="k")
    assert await head(server, anna) == before
    # The key is free: the same commit is decided anew once a human has agreed.
    other = await server.sign_in(device="phone")
    [line] = await server.service.brakes.list_brakes(other, anna.root_namespace_id)
    assert (line.device.name, line.brake.held_count) == ("laptop", MANY + 5)

    await server.service.brakes.allow(other, anna.root_namespace_id, anna.device_id, 0, HOUR_S)
    done = await server.commit(
        anna, [*delete(revs, range(1, MANY + 6)), create(5_000)], key="k"
    )  # fmt: skip
    assert all(isinstance(outcome, Accepted) for outcome in done.outcomes)
    [line] = await server.service.brakes.list_brakes(other, anna.root_namespace_id)
    assert (line.brake.held_count, line.brake.allowed_count) == (0, 0)


async def test_little_by_little_is_a_burst_too_until_the_window_has_passed(server):
    anna = await server.sign_in()
    revs = await fill(server, anna, 2 * MANY)
    for number in range(1, MANY + 1):
        server.clock.advance(10)
        await server.commit(anna, delete(revs, [number]))

    with pytest.raises(BurstHeld):
        await server.commit(anna, delete(revs, range(MANY + 1, MANY + 3)))
    server.clock.advance(limits.BRAKE_WINDOW_S + 120)
    await server.commit(anna, delete(revs, range(MANY + 1, MANY + 3)))


async def test_deleted_folder_counts_what_lies_below_once(server):
    anna = await server.sign_in()
    await server.commit(anna, [create(n) for n in range(7_000, 7_020)])
    revs = await fill(server, anna, 2 * MANY + 2)
    odd = range(1, 41, 2)

    await server.commit(anna, delete(revs, [*odd, FOLDER]))
    with pytest.raises(BurstHeld):
        await server.commit(anna, delete(revs, range(2, 42, 2)))


async def test_what_the_device_has_just_made_it_may_unmake(server):
    anna = await server.sign_in()
    revs = await fill(server, anna, 20)
    done = await server.commit(anna, [create(n) for n in range(10_000, 10_000 + 3 * MANY)])
    fresh = [Delete(o.entry.file_id, o.rev) for o in done.outcomes]
    await server.commit(anna, fresh)

    # A new folder does not make what moved into it new.
    await server.commit(anna, [create(8_000)])
    assert len(revs) == 20


async def test_old_entries_in_a_new_folder_count(server):
    anna = await server.sign_in()
    await fill(server, anna, 2 * MANY)
    done = await server.commit(anna, [create(8_000)])
    target = file_id(8_000)
    moves = [
        Move(file_id(n), target, f"{n}", file_id(FOLDER) if n % 2 else ROOT_ID, f"{n}")
        for n in range(1, MANY + 10)
    ]
    await server.commit(anna, moves)

    with pytest.raises(BurstHeld):
        await server.commit(anna, [Delete(target, done.outcomes[0].rev)])


async def test_other_devices_have_brakes_of_their_own(server):
    anna = await server.sign_in()
    phone = await server.sign_in(device="phone")
    revs = await fill(server, anna, 3 * MANY)
    await server.commit(anna, delete(revs, range(1, MANY)))
    await server.commit(phone, delete(revs, range(MANY, 2 * MANY - 1)))


async def test_overwriting_counts_if_it_does_not_compress(server):
    anna = await server.sign_in()
    dense = [await server.put(anna, Random(n).randbytes(400)) for n in range(3)]
    plain = [await server.put(anna, b"line %d\n" % n * 60) for n in range(3)]
    count = MANY + 10
    made = await server.commit(
        anna, [create(n, kind=Kind.FILE, content=plain[0]) for n in range(1, count)]
    )
    server.clock.advance(limits.BRAKE_WINDOW_S + 120)

    def edits(content, outcomes):
        return [Edit(file_id(n), o.rev, content, 0o644, 1) for n, o in enumerate(outcomes, 1)]

    made = await server.commit(anna, edits(plain[1], made.outcomes))
    server.clock.advance(limits.BRAKE_WINDOW_S + 120)
    with pytest.raises(BurstHeld):
        await server.commit(anna, edits(dense[1], made.outcomes))
    await server.commit(anna, edits(plain[2], made.outcomes))


async def test_own_brake_takes_the_password(server):
    anna = await server.sign_in()
    brakes, namespace_id = server.service.brakes, anna.root_namespace_id

    async def allow(**more):
        await brakes.allow(
            anna, namespace_id, anna.device_id, 7, HOUR_S, address="127.0.0.1", **more
        )

    with pytest.raises(BrakeNeedsPassword):
        await allow()
    with pytest.raises(SignInFailed):
        await allow(password="wrong horse")
    await allow(password=PASSWORD)
    [line] = await brakes.list_brakes(anna, namespace_id)
    assert line.brake.allowed_count == 7
    with pytest.raises(UnfitAllowance):
        await brakes.allow(anna, namespace_id, anna.device_id, -1, HOUR_S)
    with pytest.raises(UnfitAllowance):
        await brakes.allow(anna, namespace_id, anna.device_id, 1, limits.BRAKE_ALLOWED_S_MAX + 1)


async def test_strangers_have_no_say(server):
    anna, bob = await server.sign_in(), await server.sign_in("bob")
    brakes = server.service.brakes

    with pytest.raises(DeviceNotFound):
        await brakes.allow(bob, bob.root_namespace_id, anna.device_id, 1, HOUR_S)


async def test_permission_ends_with_its_number_and_its_time(server):
    anna, phone = await server.sign_in(), await server.sign_in(device="phone")
    revs = await fill(server, anna, 2 * MANY)
    brakes, namespace_id = server.service.brakes, anna.root_namespace_id
    burst = delete(revs, range(1, MANY + 6))

    await brakes.allow(phone, namespace_id, anna.device_id, MANY, HOUR_S)
    with pytest.raises(BurstHeld):
        await server.commit(anna, burst)
    await brakes.allow(phone, namespace_id, anna.device_id, MANY + 5, HOUR_S)
    server.clock.advance(HOUR_S + 1)
    with pytest.raises(BurstHeld):
        await server.commit(anna, burst)
