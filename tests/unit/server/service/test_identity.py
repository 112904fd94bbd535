# SPDX-License-Identifier: Apache-2.0

import asyncio

import pytest

from drystone.core import limits
from drystone.core.errors import Unavailable
from drystone.core.ids import DeviceId
from drystone.server.ports.metadata import Account, AccountExists
from drystone.server.service.identity.accounts import (
    AccountDisabled,
    SignInFailed,
    TooManyDevices,
    UnfitName,
)
from drystone.server.service.identity.admin import AccountNotFound
from drystone.server.service.identity.devices import (
    DeviceNotFound,
    DeviceRevoked,
    SignInRequired,
    hash_token,
)
from drystone.server.service.identity.listeners import CloseReason
from drystone.server.service.identity.passwords import UnfitPassword
from drystone.server.service.identity.sign_ins import TooManyTries
from drystone.server.service.identity.stamps import ToldStamp
from drystone.testing.service import PASSWORD

pytestmark = pytest.mark.asyncio


@pytest.fixture
def accounts(server):
    server.admin.add_account("Anna", PASSWORD)
    return server.service.accounts


async def sign_in(accounts, password=PASSWORD, *, name="anna", device="laptop", address="::1"):
    return await accounts.sign_in(name, password, device, address)


async def test_token_of_a_sign_in_is_recognised_and_others_are_not(server, accounts):
    signed_in = await sign_in(accounts)
    devices = server.service.devices

    assert signed_in.actor.account_name == "Anna"
    assert await devices.authenticate(signed_in.token) == signed_in.actor
    for other in ("", signed_in.token[:-1], signed_in.token + "x", "ds_\udcff"):
        with pytest.raises(SignInRequired):
            await devices.authenticate(other)


async def test_token_is_kept_only_as_its_hash(server, accounts):
    signed_in = await sign_in(accounts)
    [device] = await server.service.devices.list_devices(signed_in.actor)

    assert device.token_hash == hash_token(signed_in.token)
    assert signed_in.token not in repr((signed_in, device))
    assert signed_in.token.startswith("ds_")


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "wrong horse"), ("nobody", PASSWORD), ("anna", "x" * 5000)]
)
async def test_wrong_name_and_wrong_password_look_alike(accounts, name, password):
    with pytest.raises(SignInFailed) as caught:
        await sign_in(accounts, password, name=name)

    assert str(caught.value) == "the account name or the password is wrong"


async def test_password_is_the_same_however_it_was_typed(server, accounts):
    server.admin.add_account("e", "caf\u00e9 caf\u00e9")

    await sign_in(accounts, "cafe\u0301 cafe\u0301", name="e")


async def test_guesses_are_limited_by_name_and_address(server, accounts):
    for _ in range(limits.SIGN_IN_FAILURES_MAX):
        with pytest.raises(SignInFailed):
            await sign_in(accounts, "guess")
    with pytest.raises(TooManyTries) as caught:
        await sign_in(accounts)

    # The owner, elsewhere, is not locked out; nor is another account here.
    await sign_in(accounts, address="10.0.0.1")
    await server.sign_in("bert")

    assert caught.value.retry_after_s == limits.SIGN_IN_WINDOW_S
    server.clock.advance(limits.SIGN_IN_WINDOW_S)
    await sign_in(accounts)


async def test_guesses_are_limited_by_address_over_all_names(accounts):
    for number in range(limits.SIGN_IN_FAILURES_PER_ADDRESS_MAX):
        with pytest.raises(SignInFailed):
            await sign_in(accounts, "guess", name=f"name{number}")

    with pytest.raises(TooManyTries):
        await sign_in(accounts)


async def test_volley_of_guesses_is_limited_too(accounts):
    guesses = [sign_in(accounts, "guess") for _ in range(3 * limits.SIGN_IN_FAILURES_MAX)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]

    assert kinds.count(SignInFailed) == limits.SIGN_IN_FAILURES_MAX
    assert kinds.count(TooManyTries) == 2 * limits.SIGN_IN_FAILURES_MAX


async def test_right_sign_ins_are_not_limited(accounts):
    for _ in range(2 * limits.SIGN_IN_FAILURES_MAX):
        await sign_in(accounts)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * (limits.DEVICE_NAME_CHARS_MAX + 1)])
async def test_device_name_that_cannot_be_shown_is_refused(accounts, name):
    with pytest.raises(UnfitName):
        await sign_in(accounts, device=name)


async def test_number_of_devices_is_limited_but_revoked_ones_do_not_count(
    server, accounts, monkeypatch
):
    monkeypatch.setattr(limits, "DEVICES_PER_ACCOUNT_MAX", 2)
    first, second = await sign_in(accounts), await sign_in(accounts)
    with pytest.raises(TooManyDevices):
        await sign_in(accounts)
    await server.service.devices.revoke(second.actor, first.actor.device_id)

    await sign_in(accounts)


async def test_revoked_device_is_refused_at_once_and_for_good(server, accounts):
    lost, kept = await sign_in(accounts), await sign_in(accounts)
    devices = server.service.devices
    await devices.authenticate(lost.token)
    await devices.revoke(kept.actor, lost.actor.device_id)
    await devices.revoke(kept.actor, lost.actor.device_id)

    with pytest.raises(DeviceRevoked):
        await devices.authenticate(lost.token)
    assert await devices.authenticate(kept.token) == kept.actor


async def test_revocation_while_a_token_is_being_looked_up_wins(server, accounts, monkeypatch):
    lost, kept = await sign_in(accounts), await sign_in(accounts)
    service = server.service
    read = service.writer.read

    async def slow_read(work):
        found = await read(work)
        if isinstance(found[0], Account):  # It is not the stamp.
            await service.devices.revoke(kept.actor, lost.actor.device_id)
        return found

    monkeypatch.setattr(service.writer, "read", slow_read)
    await service.devices.authenticate(lost.token)
    monkeypatch.undo()

    with pytest.raises(DeviceRevoked):
        await service.devices.authenticate(lost.token)


async def test_devices_of_others_look_as_if_they_did_not_exist(server, accounts):
    anna = await sign_in(accounts)
    bert = await server.sign_in("bert")

    for device_id in (anna.actor.device_id, DeviceId(bytes(16))):
        with pytest.raises(DeviceNotFound):
            await server.service.devices.revoke(bert, device_id)
    assert await server.service.devices.authenticate(anna.token)


async def test_revoking_closes_the_open_bells_of_that_device_only(server, accounts):
    lost, kept = await sign_in(accounts), await sign_in(accounts)
    listeners = server.service.listeners
    with listeners.open(lost.actor) as closing, listeners.open(kept.actor) as staying:
        await server.service.devices.revoke(kept.actor, lost.actor.device_id)

        assert closing.closed.result() is CloseReason.REVOKED
        assert not staying.closed.done()
    assert listeners.count() == 0


async def test_seen_is_written_once_an_hour(server, accounts):
    signed_in = await sign_in(accounts)
    devices = server.service.devices

    async def seen_ns():
        await server.service.writer.write(lambda unit: None)  # behind any note
        return (await devices.list_devices(signed_in.actor))[0].seen_ns

    begin_ns = server.clock.now_ns()
    server.clock.advance(3599)
    await devices.authenticate(signed_in.token)
    assert await seen_ns() == begin_ns

    server.clock.advance(1)
    await devices.authenticate(signed_in.token)
    await asyncio.sleep(0)
    assert await seen_ns() == server.clock.now_ns()


async def test_sign_of_life_does_not_bring_a_revoked_device_back(server, accounts):
    signed_in = await sign_in(accounts)
    devices = server.service.devices
    server.clock.advance(3600)
    await devices.authenticate(signed_in.token)
    await devices.revoke(signed_in.actor, signed_in.actor.device_id)
    await asyncio.sleep(0)
    await server.service.writer.write(lambda unit: None)

    with pytest.raises(DeviceRevoked):
        await devices.authenticate(signed_in.token)


# --- the operator, in another process -------------------------------------------------------------


async def test_disabled_account_is_refused_at_once_until_it_is_enabled(server, accounts):
    signed_in = await sign_in(accounts)
    devices = server.service.devices
    await devices.authenticate(signed_in.token)
    server.admin.disable("ANNA")

    with pytest.raises(DeviceRevoked):
        await devices.authenticate(signed_in.token)
    with pytest.raises(AccountDisabled):
        await sign_in(accounts)
    with pytest.raises(SignInFailed):
        await sign_in(accounts, "guess")

    server.admin.enable("anna")
    assert await devices.authenticate(signed_in.token) == signed_in.actor


async def test_disabling_closes_open_bells(server, accounts):
    signed_in = await sign_in(accounts)
    bert = await server.sign_in("bert")
    listeners = server.service.listeners
    watching = asyncio.ensure_future(server.service.devices.watch_stamp(0))
    await asyncio.sleep(0)
    with listeners.open(signed_in.actor) as closing, listeners.open(bert) as staying:
        server.admin.disable("anna")

        assert await closing.closed is CloseReason.REVOKED
        assert not staying.closed.done()
    watching.cancel()


async def test_new_password_counts_and_signs_out_only_if_asked(server, accounts):
    signed_in = await sign_in(accounts)
    devices = server.service.devices
    server.admin.set_password("anna", "another horse")
    with pytest.raises(SignInFailed):
        await sign_in(accounts)
    await sign_in(accounts, "another horse")
    assert await devices.authenticate(signed_in.token)

    server.admin.set_password("anna", "third horse", sign_out=True)
    with pytest.raises(DeviceRevoked):
        await devices.authenticate(signed_in.token)


async def test_admin_refuses_what_does_not_keep_the_rules(server, accounts):
    admin = server.admin
    with pytest.raises(AccountExists):
        admin.add_account("ANNA", PASSWORD)
    for password in ("short", "é" * (limits.PASSWORD_BYTES_MAX // 2 + 1)):
        with pytest.raises(UnfitPassword) as caught:
            admin.add_account("carl", password)
        assert caught.value.advice
    for name in ("", "a\tb", "x" * (limits.ACCOUNT_NAME_CHARS_MAX + 1)):
        with pytest.raises(UnfitName):
            admin.add_account(name, PASSWORD)
    with pytest.raises(AccountNotFound):
        admin.set_password("nobody", PASSWORD)
    with pytest.raises(AccountNotFound):
        admin.disable("nobody")

    assert [line.name for line in admin.list_accounts()] == ["Anna"]


async def test_admin_lists_accounts_with_their_devices(server, accounts):
    one, _ = await sign_in(accounts), await sign_in(accounts)
    await server.service.devices.revoke(one.actor, one.actor.device_id)
    server.admin.add_account("bert", PASSWORD)
    server.admin.disable("bert")

    lines = {(x.name, x.devices_count, x.disabled) for x in server.admin.list_accounts()}
    assert lines == {("Anna", 1, False), ("bert", 0, True)}


async def test_old_hash_is_made_anew_at_the_next_sign_in(server, accounts):
    stronger = type(accounts._passwords)(memory_kib=2048, rounds=1)
    accounts._passwords = stronger
    await sign_in(accounts)
    find = server.service.writer.read
    account = await find(lambda unit: unit.accounts.find_account("anna"))

    assert not stronger.is_outdated(account.password_hash)
    await sign_in(accounts)


# --- listeners ------------------------------------------------------------------------------------


async def test_oldest_listener_of_a_device_makes_room(server, accounts):
    actor = (await sign_in(accounts)).actor
    listeners = server.service.listeners
    opened = [listeners.open(actor) for _ in range(limits.BELL_CONNECTIONS_PER_DEVICE_MAX + 1)]
    entered = [context.__enter__() for context in opened]

    assert [x.closed.done() for x in entered] == [True] + [False] * (len(entered) - 1)
    assert entered[0].closed.result() is CloseReason.REPLACED
    for context in opened:
        context.__exit__(None, None, None)
    assert listeners.count() == 0


async def test_stopping_closes_every_listener_and_later_ones(server, accounts):
    actor = (await sign_in(accounts)).actor
    listeners = server.service.listeners
    with listeners.open(actor) as before:
        listeners.close_all()
        with listeners.open(actor) as after:
            assert before.closed.result() is CloseReason.STOPPING
            assert after.closed.result() is CloseReason.STOPPING


async def test_device_revoked_by_another_worker_is_refused_at_once(server, accounts):
    signed_in = await sign_in(accounts)
    await server.service.devices.authenticate(signed_in.token)
    other = server.make_worker()
    await other.devices.authenticate(signed_in.token)
    await server.service.devices.revoke(signed_in.actor, signed_in.actor.device_id)

    with pytest.raises(DeviceRevoked):
        await other.devices.authenticate(signed_in.token)
    other.close()


async def test_revocation_of_which_other_workers_cannot_be_told_is_not_acknowledged(
    server, accounts
):
    signed_in = await sign_in(accounts)

    def move():
        raise Unavailable("the disk is full")

    service = server.make_worker(ToldStamp(lambda: 0, move))
    with pytest.raises(Unavailable):
        await service.devices.revoke(signed_in.actor, signed_in.actor.device_id)

    with pytest.raises(DeviceRevoked):
        await service.devices.authenticate(signed_in.token)
    service.close()
