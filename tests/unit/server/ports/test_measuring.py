# SPDX-License-Identifier: Apache-2.0

import threading

import pytest

from drystone.server.faces.metrics.app import write_exposition
from drystone.server.ports.watching.measuring import LABEL_SETS_MAX, Measures


@pytest.fixture
def measures():
    return Measures()


def samples_of(measures):
    return {
        (sample.name, *sample.labels.items()): sample.value
        for family in measures.read()
        for sample in family.samples
    }


def test_the_same_name_and_labels_give_the_same_counter(measures):
    measures.counter("drystone_x_total", "X.", kind="a").add()
    measures.counter("drystone_x_total", "X.", kind="a").add(2)
    measures.counter("drystone_x_total", "X.", kind="b")

    assert samples_of(measures) == {
        ("drystone_x_total", ("kind", "a")): 3,
        ("drystone_x_total", ("kind", "b")): 0,
    }


def test_histogram_counts_a_value_under_each_bound_it_does_not_exceed(measures):
    histogram = measures.histogram("drystone_x_seconds", "X.", (1, 2.5))
    for value in (0, 1, 1.5, 99):
        histogram.note(value)

    assert samples_of(measures) == {
        ("drystone_x_seconds_bucket", ("le", "1.0")): 2,
        ("drystone_x_seconds_bucket", ("le", "2.5")): 3,
        ("drystone_x_seconds_bucket", ("le", "+Inf")): 4,
        ("drystone_x_seconds_count",): 4,
        ("drystone_x_seconds_sum",): 101.5,
    }


def test_gauge_tells_what_it_was_set_to_last(measures):
    measures.gauge("drystone_x", "X.").set(3)
    measures.gauge("drystone_x", "X.").set(2)

    assert samples_of(measures) == {("drystone_x",): 2}


def test_what_is_watched_is_read_when_it_is_asked_for(measures):
    queue = [1]
    measures.watch("drystone_queue_works", "Q.", lambda: len(queue))
    queue.append(2)

    assert samples_of(measures) == {("drystone_queue_works",): 2}


def test_what_cannot_be_read_is_left_out_and_hides_nothing_else(measures):
    measures.watch("drystone_a", "A.", lambda: 1 / 0)
    measures.watch("drystone_b", "B.", lambda: 1)

    assert samples_of(measures) == {("drystone_b",): 1}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda m: m.counter("drystone_x_total", "Something else."),
        lambda m: m.counter("drystone_x_total", "X.", kind="a"),
        lambda m: m.histogram("drystone_x_total", "X."),
        lambda m: m.counter("drystone_y", "Does not say that it is a total."),
        lambda m: m.counter("other_total", "Not ours."),
        lambda m: m.histogram("drystone_y", "Y.", (2, 1)),
    ],
)
def test_a_name_that_would_mean_two_things_is_a_bug(measures, wrong):
    measures.counter("drystone_x_total", "X.")
    with pytest.raises(AssertionError):
        wrong(measures)


def test_label_sets_without_end_are_a_bug(measures):
    for number in range(LABEL_SETS_MAX):
        measures.counter("drystone_x_total", "X.", path=str(number))
    with pytest.raises(AssertionError):
        measures.counter("drystone_x_total", "X.", path="one more")


def test_nothing_is_lost_when_threads_count_at_once(measures):
    counter = measures.counter("drystone_x_total", "X.")
    histogram = measures.histogram("drystone_x_seconds", "X.")

    def count():
        for _ in range(2_000):
            counter.add()
            histogram.note(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (counter.count, histogram.count) == (8_000, 8_000)


# --- as text --------------------------------------------------------------------------------------


def test_text_is_what_prometheus_reads(measures):
    measures.counter("drystone_x_total", "How many X.", kind='a"b\n').add(2)
    measures.histogram("drystone_y_seconds", "Y.", (1,)).note(0.5)
    text, kind = write_exposition(measures.read(), "")

    assert kind.startswith("text/plain")
    assert text.decode().splitlines() == [
        "# HELP drystone_x_total How many X.",
        "# TYPE drystone_x_total counter",
        'drystone_x_total{kind="a\\"b\\n"} 2.0',
        "# HELP drystone_y_seconds Y.",
        "# TYPE drystone_y_seconds histogram",
        'drystone_y_seconds_bucket{le="1.0"} 1.0',
        'drystone_y_seconds_bucket{le="+Inf"} 1.0',
        "drystone_y_seconds_count 1.0",
        "drystone_y_seconds_sum 0.5",
    ]


def test_openmetrics_is_told_to_who_asks_for_it(measures):
    measures.counter("drystone_x_total", "X.").add()
    text, kind = write_exposition(measures.read(), "application/openmetrics-text;version=1.0.0")

    assert kind.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    assert b"drystone_x_total 1.0" in text
