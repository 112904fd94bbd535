# SPDX-License-Identifier: Apache-2.0
"""What measures say, for tests."""

from drystone.server.ports.watching.measuring import Measures


def value_of(measures: Measures, name: str, **labels: str) -> float | None:
    """Returns the value of a sample; None if there is none with just these labels."""
    found = (
        sample.value
        for family in measures.read()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    )
    return next(found, None)
