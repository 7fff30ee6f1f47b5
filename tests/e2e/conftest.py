"""The nodes that several tests of the whole share."""

from collections.abc import Iterator

import pytest

from three_nodes import Trio, open_trio


@pytest.fixture(scope="session")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """A hotline and two platforms that run as long as the tests do; pokes are all they have."""
    with open_trio(tmp_path_factory.mktemp("trio")) as made:
        yield made
