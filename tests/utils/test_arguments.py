import numpy as np
import pytest

from toonify.errors import UsageError
from toonify.utils.arguments import check_choice, check_number, check_positive, check_range


@pytest.mark.parametrize("value", [None, 0, 1, 0.5])
def test_what_is_in_range(value):
    check_range("smooth", value, 0, 1)


@pytest.mark.parametrize("value", [-0.1, 2, float("nan"), float("inf")])
def test_what_is_not_is_named(value):
    with pytest.raises(UsageError, match=r"`smooth` .* is out of range\. Give 0 to 1\."):
        check_range("smooth", value, 0, 1)


@pytest.mark.parametrize("value", ["3", b"3", [3], object(), 1j])
def test_what_is_no_number(value):
    for check in (check_number, check_positive, check_range):
        with pytest.raises(UsageError, match=r"`lr` .* is no number"):
            check("lr", value)


def test_whole_numbers_and_positive_ones():
    for value in (None, 1, np.int64(1), True):
        check_range("steps", value, 1, whole=True)
        check_positive("steps", value, whole=True)
    with pytest.raises(UsageError, match=r"`steps` 2.5 is no whole number"):
        check_range("steps", 2.5, 1, whole=True)
    for value in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="`lr` must be positive, not"):
            check_positive("lr", value)


def test_choices_suggest_the_nearest():
    check_choice("method", None, ["flow"])
    check_choice("method", "flow", ["flow"])
    with pytest.raises(UsageError, match=r"`method` 'flwo'. Did you mean 'flow'"):
        check_choice("method", "flwo", ["flow", "hfgi"])
    with pytest.raises(UsageError, match="`method` '3'"):
        check_choice("method", 3, ["flow"])
