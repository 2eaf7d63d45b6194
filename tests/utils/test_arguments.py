import pytest

from toonify.errors import UsageError
from toonify.utils.arguments import check_range


@pytest.mark.parametrize("value", [None, 0, 1, 0.5])
def test_what_is_in_range(value):
    check_range("smooth", value, 0, 1)


@pytest.mark.parametrize("value", [-0.1, 2, float("nan"), float("inf")])
def test_what_is_not_is_named(value):
    with pytest.raises(UsageError, match=r"`smooth` .* is out of range\. Give 0 to 1\."):
        check_range("smooth", value, 0, 1)
