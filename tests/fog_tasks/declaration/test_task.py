import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from broker.contract.submissions import Options
from broker.contract.topics import Weight
from broker.errors import BadPayload
from fog_tasks import BadArguments, DeclarationError, Task, task
from fog_tasks.declaration.task import DEFAULT_TIMEOUTS


@task(name="join", weight="medium", timeout=2.5)
def join_words(first: str, second: str = "x") -> str:
    """Join two words.

    The catalog shows the first line only.
    """
    return first + second


def test_a_task_called_directly_is_the_function_itself() -> None:
    """No conversion, no JSON: a unit test of a task is a unit test of a function."""
    assert join_words("a", second="b") == "ab"


def test_the_catalog_says_what_the_declaration_says() -> None:
    entry = join_words.catalog_entry()
    assert (entry.task, entry.weight, entry.timeout_s) == ("join", Weight.MEDIUM, 2.5)
    assert entry.about == "Join two words."
    assert not entry.raw


def test_a_task_shows_its_functions_signature() -> None:
    assert list(inspect.signature(join_words).parameters) == ["first", "second"]
    assert repr(join_words) == "<task join>"
    assert inspect.getdoc(join_words) == inspect.getdoc(join_words.function)


@pytest.mark.parametrize("weight", ["light", "medium", "heavy"])
def test_the_time_limit_follows_the_weight_unless_declared(weight: str) -> None:
    assert task(weight=weight)(lambda: None).timeout == DEFAULT_TIMEOUTS[Weight(weight)]


def test_the_plain_decorator_makes_a_light_task_named_as_the_function() -> None:
    @task
    def blink() -> None: ...

    assert isinstance(blink, Task)
    assert (blink.name, blink.weight, blink.about) == ("blink", Weight.LIGHT, "")


def test_a_wrapped_function_keeps_its_parameters() -> None:
    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inner(*arguments: Any, **named: Any) -> Any:
            return function(*arguments, **named)

        return inner

    @task
    @logged
    def double(n: int) -> int:
        return 2 * n

    assert double.run((4,), {}) == b"8"
    with pytest.raises(BadArguments, match="parameter 'n': expected `int`, got `str`"):
        double.check(b'"x"')


def test_check_returns_the_options_of_the_payload() -> None:
    assert join_words.check(b'{"first": "a", "$deadline": 2}').options == Options(deadline=2.0)


def test_check_refuses_what_is_not_json() -> None:
    with pytest.raises(BadPayload):
        join_words.check(b"\xff")


def test_what_the_function_returned_is_written_as_json() -> None:
    assert task(lambda: {"at": (1, 2)}).run((), {}) == b'{"at":[1,2]}'


def test_what_the_function_raises_passes_through() -> None:
    @task
    def fails() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fails.run((), {})


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a\nb", "é" * 200])
def test_a_name_that_no_topic_can_carry_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="it has to be one level of a topic"):
        task(name=name)(lambda: None)


@pytest.mark.parametrize("weight", ["auto", Weight.AUTO, "huge", "", 3, ["light"]])
def test_a_weight_that_no_task_can_have_is_refused(weight: Any) -> None:
    with pytest.raises(DeclarationError, match="is one of light, medium, heavy"):
        task(weight=weight)(lambda: None)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "30"])
def test_a_time_limit_that_is_no_duration_is_refused(timeout: Any) -> None:
    with pytest.raises(DeclarationError, match="is not a positive number of seconds"):
        task(timeout=timeout)(lambda: None)


def test_a_processor_time_that_is_no_duration_is_refused() -> None:
    with pytest.raises(DeclarationError, match="cpu -1 is not a positive number of seconds"):
        task(cpu=-1)(lambda: None)


async def coroutine() -> None: ...


async def async_generator() -> AsyncIterator[int]:
    yield 1


def generator() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (coroutine, "is an async function"),
        (async_generator, "is an async function"),
        (generator, "is a generator"),
        (int, "cannot be a task"),
        (len, "cannot be a task"),
        (functools.partial(generator), "cannot be a task"),
        ("medium", r'put @task or @task\(weight="medium"\) above a plain function'),
    ],
)
def test_what_is_no_plain_function_is_refused(function: Any, reason: str) -> None:
    with pytest.raises(DeclarationError, match=reason):
        task(function)
