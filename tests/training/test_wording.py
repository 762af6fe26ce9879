"""Counts in sentences agree with their nouns."""

from __future__ import annotations

import pytest

from isthmus.wording import choose_word, format_count

from .cases import open_training, pictures, small


@pytest.mark.parametrize(
    ("count", "words"),
    [
        ((1, "minute"), "1 minute"),
        ((1.0, "minute"), "1 minute"),
        ((0.5, "minute"), "0.5 minutes"),
        ((0, "image"), "0 images"),
        ((2, "class", "classes"), "2 classes"),
        ((1, "class", "classes"), "1 class"),
        ((12345, "step"), "12,345 steps"),
        ((1234.5, "epoch"), "1,234.5 epochs"),
    ],
)
def test_a_count_and_its_noun(count: tuple[float, str], words: str) -> None:
    assert format_count(*count) == words


def test_a_verb_that_goes_with_a_count() -> None:
    assert [choose_word(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]


@pytest.mark.parametrize(
    ("length", "words"),
    [
        ({"steps": 1}, "1 step, as asked"),
        ({"steps": 2}, "2 steps, as asked"),
        ({"epochs": 1}, "1 epoch is 5 steps"),
        ({"epochs": 0.1}, "0.1 epochs are 1 step"),
    ],
)
def test_the_length_of_a_training_in_words(length: dict[str, float], words: str) -> None:
    assert words in open_training(pictures(40), small("dense"), precision="float32", **length).plan.notes
