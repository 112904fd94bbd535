# SPDX-License-Identifier: Apache-2.0
"""Each mutant of tools/mutants.py still says something about the source, and another thing."""

import ast
from collections import Counter

import pytest

from tests.house.survey import SOURCE
from tools.mutants import MUTANTS, Mutant

MUTANTS_MIN = 40


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_fits_the_source(mutant: Mutant) -> None:
    text = (SOURCE / mutant.path).read_text(encoding="utf-8")

    assert text.count(mutant.old) == 1, "tell it anew, or leave it out with what it broke"
    broken = ast.parse(text.replace(mutant.old, mutant.new))
    assert ast.dump(broken) != ast.dump(ast.parse(text))


def test_mutants_have_names_of_their_own() -> None:
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1
    assert len(MUTANTS) >= MUTANTS_MIN
