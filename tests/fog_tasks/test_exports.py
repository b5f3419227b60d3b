import fog_tasks


def test_the_index_is_sorted_and_complete() -> None:
    """Classes first, then functions, as the linter sorts them."""
    assert fog_tasks.__all__ == sorted(fog_tasks.__all__)
    assert all(hasattr(fog_tasks, name) for name in fog_tasks.__all__)
