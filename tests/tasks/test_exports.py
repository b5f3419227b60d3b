import tasks


def test_the_index_is_sorted_and_complete() -> None:
    """Classes first, then functions, as the linter sorts them."""
    assert tasks.__all__ == sorted(tasks.__all__)
    assert all(hasattr(tasks, name) for name in tasks.__all__)
