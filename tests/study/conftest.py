"""What tests of studies share: converted models and stage results of their own, a module each."""

import pytest

from leaf.store.store import Store


@pytest.fixture(scope="module", autouse=True)
def cache(own_cache: None) -> None:
    """Every module has converted models of its own."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))
