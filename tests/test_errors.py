"""What the public functions do to the warnings of a program that calls them."""

from __future__ import annotations

import warnings

from colab_rl.errors import warnings_raise_nothing


class Provisional(FutureWarning):
    """IPython makes one of its own categories an exception in each kernel."""


def test_a_warning_that_would_be_an_exception_is_shown_and_no_other_is():
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Provisional)
        with warnings_raise_nothing():
            warnings.warn("of a library", DeprecationWarning, stacklevel=1)
            warnings.warn("of this one", Provisional, stacklevel=1)
    assert [one.category for one in shown] == [Provisional]


def test_no_warning_is_an_exception_where_all_would_be():
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        warnings.simplefilter("error")
        with warnings_raise_nothing():
            warnings.warn("of a library", DeprecationWarning, stacklevel=1)
    assert [one.category for one in shown] == [DeprecationWarning]
