"""The rules of asking another node, on a clock of the tests' own."""

from broker.contract.topics import Weight
from fog_node.mesh.open_questions import LIFETIME, MAX_OPEN, OpenQuestions, Question
from fog_node.placement.answers import LONGEST_WAIT, Answer

MEDIUM = Weight.MEDIUM


def asked(questions: OpenQuestions, task: str = "sum", now: float = 10.0) -> Question:
    question = questions.new(MEDIUM, task, now, known_until=now - 1.0)
    assert question is not None
    return question


def test_each_question_has_a_key_of_its_own_and_of_its_life() -> None:
    first, second = OpenQuestions("one"), OpenQuestions("two")
    assert len({asked(first).key, asked(first).key, asked(second).key}) == 3


def test_an_answer_tells_what_was_asked_and_how_long_it_took() -> None:
    questions = OpenQuestions("life")
    question = asked(questions)
    assert questions.answered(question.key, 0.5, 10.25) == Answer(
        weight=MEDIUM, task="sum", wait=0.5, asked=10.0, known_until=9.0, round_trip=0.25
    )


def test_a_second_answer_and_one_to_nothing_count_for_nothing() -> None:
    questions = OpenQuestions("life")
    question = asked(questions)
    questions.answered(question.key, 0.5, 10.0)
    assert questions.answered(question.key, 0.5, 10.0) is None
    assert questions.answered("of another life", 0.5, 10.0) is None


def test_a_burst_of_tasks_shares_an_answer_as_long_as_tasks_wait_for_one() -> None:
    questions = OpenQuestions("life")
    question = asked(questions)
    assert questions.shared(MEDIUM, "sum", 10.0 + 0.9 * LONGEST_WAIT) is question
    assert questions.shared(MEDIUM, "sum", 10.0 + LONGEST_WAIT) is None


def test_another_task_or_weight_shares_nothing() -> None:
    questions = OpenQuestions("life")
    asked(questions)
    assert questions.shared(MEDIUM, "echo", 10.0) is None
    assert questions.shared(Weight.HEAVY, "sum", 10.0) is None


def test_an_answered_question_is_asked_anew() -> None:
    questions = OpenQuestions("life")
    questions.answered(asked(questions).key, 0.5, 10.0)
    assert questions.shared(MEDIUM, "sum", 10.0) is None


def test_the_answer_to_an_old_question_leaves_the_new_one_open() -> None:
    questions = OpenQuestions("life")
    old, new = asked(questions), asked(questions, now=10.1)
    questions.answered(old.key, 0.5, 10.1)
    assert questions.shared(MEDIUM, "sum", 10.1) is new


def test_too_many_open_questions_are_not_asked() -> None:
    questions = OpenQuestions("life")
    first, *_ = (asked(questions, str(number)) for number in range(MAX_OPEN))
    assert questions.new(MEDIUM, "one more", 10.0, known_until=10.0) is None
    questions.close(first)
    assert questions.new(MEDIUM, "one more", 10.0, known_until=10.0) is not None


def test_only_questions_past_their_lifetime_are_overdue() -> None:
    questions = OpenQuestions("life")
    old, _ = asked(questions), asked(questions, now=10.5)
    assert questions.overdue(10.0 + LIFETIME) == [old]


def test_a_question_may_be_closed_twice() -> None:
    questions = OpenQuestions("life")
    question = asked(questions)
    for _ in range(2):
        questions.close(question)
    assert questions.overdue(99.0) == []
