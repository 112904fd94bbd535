# SPDX-License-Identifier: Apache-2.0
"""Laws of standing names: what stands on a narrow disk can be read back, whatever it is."""

from unicodedata import normalize

from hypothesis import example, given
from hypothesis import strategies as st

from drystone.core.names.path import find_name_fault
from drystone.core.names.standing import (
    ALL_NAMES,
    MARK,
    NameTraits,
    free_standing_name,
    name_key,
    standing_name,
    true_name,
    true_path,
)
from drystone.testing.strategies import names

VFAT = NameTraits(
    folds_case=True,
    illegal=frozenset('\\:*?"<>|' + "".join(map(chr, range(1, 32)))),
    illegal_last=frozenset(". "),
    has_devices=True,
)
CASEFOLD = NameTraits(folds_case=True, folds_forms=True)
HFS = NameTraits(folds_case=True, folds_forms=True, changes_forms=True, illegal=frozenset(":"))
FORMS_ONLY = NameTraits(folds_forms=True, changes_forms=True)

traits_of_disks = st.one_of(
    st.sampled_from([VFAT, CASEFOLD, HFS, FORMS_ONLY]),
    st.builds(
        NameTraits,
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.frozensets(st.sampled_from('\\:*?"<>|a é.\x01\x7f')),
        st.frozensets(st.sampled_from(". é")),
        st.booleans(),
    ),
)
pieces = st.sampled_from(
    [
        MARK, MARK * 2, f"{MARK}：", f"{MARK}\uff0f", f"{MARK}\u2400", f" (twin{MARK}2)",
        f" (twin{MARK}1)", f"{MARK}301;", f"{MARK}2f;", f"{MARK}d800;", f"{MARK}41;", "e\u0301",
        "é", "\u0301", "\u1100", "\u1161", "\uac00", "ß", "\u017f", "İ", "Σ", "con", "NUL", ".txt",
        ".", " ", ":", "*", "a", "A", "\x01", "(", ")", "2",
    ]
)  # fmt: skip
tricky_names = st.lists(pieces, min_size=1, max_size=6).map("".join)
any_names = st.one_of(names(), tricky_names).filter(lambda name: not find_name_fault(name))
numbers = st.integers(1, 12)


def as_stored(standing: str, traits: NameTraits) -> str:
    return normalize("NFD", standing) if traits.changes_forms else standing


@given(any_names, traits_of_disks, numbers)
@example("e\u0301", HFS, 1)
@example(f"a (twin{MARK}2).md", CASEFOLD, 3)
@example(f"a{MARK}：", VFAT, 1)
def test_a_standing_name_is_read_back(name: str, traits: NameTraits, number: int) -> None:
    standing = as_stored(standing_name(name, traits, number), traits)

    assert true_name(standing, traits) == name


@given(any_names, traits_of_disks)
def test_what_a_disk_can_hold_stands_under_its_own_name(name: str, traits: NameTraits) -> None:
    standing = standing_name(name, traits)

    assert standing_name(name, ALL_NAMES) == true_name(name, ALL_NAMES) == name
    if not set(name) & (traits.illegal | traits.illegal_last | {MARK}) and name.isascii():
        assert standing == name or (traits.has_devices and standing[0] == MARK)


@given(any_names, traits_of_disks, numbers)
def test_a_standing_name_is_one_that_the_disk_can_hold(
    name: str, traits: NameTraits, number: int
) -> None:
    # A disk that refuses letters refuses the number's too: no disk does, so they are left out.
    traits = traits._replace(illegal=traits.illegal - set("aé "), illegal_last=frozenset(". "))
    standing = standing_name(name, traits, number)
    stored = as_stored(standing, traits)

    assert not set(standing) & traits.illegal
    assert standing[-1] not in traits.illegal_last
    assert not traits.changes_forms or normalize("NFC", stored) == standing
    assert "/" not in standing
    assert "\0" not in standing
    if traits.has_devices:
        assert standing.partition(".")[0].upper() not in ("CON", "NUL", "AUX", "PRN")


@given(st.lists(any_names, max_size=8, unique=True), traits_of_disks)
def test_neighbours_never_share_a_name(found: list[str], traits: NameTraits) -> None:
    taken: dict[str, str] = {}
    for name in found:
        standing = free_standing_name(name, taken.__contains__, traits)
        key = name_key(as_stored(standing, traits), traits)
        assert key == name_key(standing, traits)
        assert key not in taken
        taken[key] = name

    assert len(taken) == len(found)


@given(tricky_names, traits_of_disks)
def test_any_name_on_a_disk_means_a_legal_name(standing: str, traits: NameTraits) -> None:
    name = true_name(standing, traits)

    if not find_name_fault(standing):
        assert not find_name_fault(name)


@given(any_names, any_names)
def test_a_path_is_read_name_by_name(one: str, other: str) -> None:
    standing = f"{standing_name(one, VFAT)}/{standing_name(other, VFAT, 2)}"

    assert true_path(standing, VFAT) == f"{one}/{other}"
    assert true_path("", VFAT) == ""
