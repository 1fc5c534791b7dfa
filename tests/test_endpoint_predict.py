"""What /predict answers, from the tasks to the last field of a prediction."""

import base64
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from label_studio_sdk.label_interface import LabelInterface

from labelloop.service.context import Context
from labelloop.service.endpoint import Endpoint
from support.conditional import DAMAGES
from support.redis_process import RedisProcess
from support.serving import (
    CONFIG,
    IMAGE_CONFIG,
    KEY,
    a_context,
    a_project,
    images,
    publish,
    tasks,
    texts,
    wait_for,
)
from support.trained_kinds import book_of, train


@pytest.fixture
def context(tmp_path: Path, redis_server: RedisProcess) -> Context:
    return a_context(tmp_path, redis_server.url)


@pytest.fixture
def endpoint(context: Context) -> Iterator[Endpoint]:
    """An endpoint of a project with a trained version, 40 texts of which are in the feature cache."""
    publish(context, a_project(context))
    endpoint = Endpoint(context)
    endpoint.start()
    yield endpoint
    endpoint.stop()


def choice(answer: Any) -> str:
    label: str = answer["result"][0]["value"]["choices"][0]
    return label


def test_predictions_are_valid_for_the_label_config(endpoint: Endpoint) -> None:
    known = texts(10)
    answers = endpoint.predict(tasks([text for text, _ in known]), KEY, CONFIG)
    assert [choice(answer) for answer in answers] == [label for _, label in known]
    interface = LabelInterface(CONFIG)
    for answer in answers:
        assert interface.validate_prediction(answer, return_errors=True) == []


@pytest.mark.parametrize("count", [0, 1, 700])
def test_one_item_per_task_in_order(endpoint: Endpoint, count: int) -> None:
    wanted = texts(count)
    answers = endpoint.predict(tasks([text for text, _ in wanted]), KEY, CONFIG)
    assert [choice(answer) for answer in answers] == [label for _, label in wanted]


def test_the_stamp_is_what_setup_answers(endpoint: Endpoint) -> None:
    (answer,) = endpoint.predict(tasks(["ripe pear"]), KEY, CONFIG)
    assert answer["model_version"] == endpoint.setup(KEY, CONFIG)["model_version"]


def test_the_score_is_low_for_what_is_uncertain(endpoint: Endpoint) -> None:
    sure, torn = endpoint.predict(tasks([texts(1)[0][0], "ripe apple steel furnace"]), KEY, CONFIG)
    assert 0.0 <= torn["score"] < sure["score"] <= 1.0


def test_the_score_goes_by_what_annotators_will_be_asked(context: Context) -> None:
    train(context, a_project(context, DAMAGES.config), book_of(DAMAGES, 60, 40))
    endpoint = Endpoint(context)
    endpoint.start()
    calm = [{"id": 41, "data": DAMAGES.item(40)[0]}]
    chosen = {"result": DAMAGES.item(41)[1][:1]}
    try:
        (hidden,) = endpoint.predict(calm, KEY, DAMAGES.config)
        (asked,) = endpoint.predict(calm, KEY, DAMAGES.config, chosen)
    finally:
        endpoint.stop()
    assert isinstance(hidden, dict) and isinstance(asked, dict)
    assert hidden["score"] > 0.9 > 0.5 > asked["score"]


def test_a_region_carries_its_confidence(endpoint: Endpoint) -> None:
    (answer,) = endpoint.predict(tasks([texts(1)[0][0]]), KEY, CONFIG)
    assert 0.5 < answer["result"][0]["score"] <= 1.0


@pytest.mark.parametrize(
    "broken",
    [{}, {"id": 2}, {"id": 2, "data": None}, {"id": 2, "data": {"other": "x"}}, {"id": 2, "data": {"text": None}},
     {"id": "odd", "data": []}, {"id": 2, "data": {"text": ""}}, {"id": 2, "data": {"text": {"not": "a text"}}}],
)  # fmt: skip
def test_a_task_that_cannot_be_served_leaves_the_others_alone(endpoint: Endpoint, broken: dict[str, Any]) -> None:
    before, after = tasks(["ripe apple", "rust and ore"])
    answers = endpoint.predict([before, broken, after], KEY, CONFIG)
    assert [bool(answer) for answer in answers] == [True, False, True]
    assert answers[1] == []


def test_nothing_is_predicted_before_the_first_version(context: Context) -> None:
    a_project(context)
    endpoint = Endpoint(context)
    endpoint.start()
    assert endpoint.predict(tasks(["ripe apple", "rust"]), KEY, CONFIG) == [[], []]
    assert endpoint.setup(KEY, CONFIG) == {"model_version": "untrained"}
    endpoint.stop()


def test_a_cold_version_is_named_and_predicts_nothing(context: Context) -> None:
    cold = publish(context, a_project(context), stage="cold")
    endpoint = Endpoint(context)
    endpoint.start()
    assert endpoint.setup(KEY, CONFIG) == {"model_version": cold.name}
    assert endpoint.predict(tasks(["ripe apple"]), KEY, CONFIG) == [[]]
    endpoint.stop()


@pytest.mark.parametrize("project", [None, "", "odd", "99.1", "4", "4.1795472334"])
def test_an_unknown_project_is_answered_with_nothing(endpoint: Endpoint, project: str | None) -> None:
    assert endpoint.predict(tasks(["ripe apple", "rust"]), project, CONFIG) == [[], []]


def test_a_class_the_config_has_lost_is_not_predicted(endpoint: Endpoint) -> None:
    without = CONFIG.replace('<Choice value="fruit"/>', '<Choice value="tool"/>')
    fruit, metal = endpoint.predict(tasks([texts(2)[0][0], texts(2)[1][0]]), KEY, without)
    assert fruit["result"] == []
    assert choice(metal) == "metal"


@pytest.mark.parametrize(
    "config",
    [
        CONFIG.replace('name="c"', 'name="other"'),
        CONFIG.replace("<Choices ", '<Choices choice="multiple" '),
        CONFIG.replace('value="$text"', 'value="$body"'),
        CONFIG.replace("<Text ", "<Image "),
        "<View></View>",
        "<View>",
        "no xml",
    ],
)
def test_a_control_that_is_gone_or_another_one_now_is_not_predicted(endpoint: Endpoint, config: str) -> None:
    assert endpoint.predict(tasks(["ripe apple"]), KEY, config) == [[]]


def test_a_moved_data_key_and_object_name_are_followed(endpoint: Endpoint) -> None:
    moved = CONFIG.replace("$text", "$body").replace('name="t"', 'name="o"').replace('toName="t"', 'toName="o"')
    (answer,) = endpoint.predict([{"id": 1, "data": {"body": texts(1)[0][0]}}], KEY, moved)
    assert answer["result"][0]["to_name"] == "o"
    assert LabelInterface(moved).validate_prediction(answer, return_errors=True) == []


def test_a_data_key_may_be_a_path(endpoint: Endpoint) -> None:
    deep = CONFIG.replace("$text", "$doc.pages[0].text")
    known, missing = {"doc": {"pages": [{"text": texts(1)[0][0]}]}}, {"doc": {"pages": []}}
    answer, nothing = endpoint.predict([{"id": 1, "data": known}, {"id": 2, "data": missing}], KEY, deep)
    assert choice(answer) == "fruit"
    assert nothing == []


def test_without_a_config_in_the_request_the_one_last_heard_of_counts(endpoint: Endpoint) -> None:
    assert choice(endpoint.predict(tasks([texts(1)[0][0]]), KEY)[0]) == "fruit"


def test_below_the_threshold_only_the_score_is_given(tmp_path: Path, redis_server: RedisProcess) -> None:
    context = a_context(tmp_path, redis_server.url, show_threshold=1.0)
    publish(context, a_project(context))
    endpoint = Endpoint(context)
    endpoint.start()
    (answer,) = endpoint.predict(tasks(["apple steel"]), KEY, CONFIG)
    endpoint.stop()
    assert answer["result"] == []
    assert 0.0 <= answer["score"] <= 1.0


def test_an_interactive_request_always_gets_a_prediction(endpoint: Endpoint) -> None:
    drawn: dict[str, Any] = {"result": []}
    known, odd = endpoint.predict([*tasks([texts(1)[0][0]]), {"id": 2, "data": {}}], KEY, CONFIG, drawn)
    assert choice(known) == "fruit"
    assert odd == {"result": [], "score": 0.0, "model_version": known["model_version"]}
    (unknown,) = endpoint.predict(tasks(["apple"]), "99.1", CONFIG, drawn)
    assert unknown["result"] == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("choices", {"choices": ["metal"]}),
        ("brushlabels", {"format": "rle", "rle": [0, 1], "brushlabels": ["a"]}),
        ("polygonlabels", {"points": [[0, 0], [9, 0], [9, 9]], "polygonlabels": ["a"]}),
        ("ellipselabels", {"x": 9, "y": 9, "radiusX": 1, "radiusY": 1, "ellipselabels": ["a"]}),
        ("labels", {"start": 0, "end": 2, "text": "ri", "labels": []}),
    ],
)
def test_what_is_no_prompt_gets_no_whole_prediction(endpoint: Endpoint, kind: str, value: dict[str, Any]) -> None:
    drawn = {"from_name": "x", "to_name": "t", "type": kind, "value": value}
    (answer,) = endpoint.predict(tasks([texts(1)[0][0]]), KEY, CONFIG, {"result": [drawn]})
    assert answer["result"] == []
    assert 0.0 <= answer["score"] <= 1.0
    assert LabelInterface(CONFIG).validate_prediction(answer, return_errors=True) == []


def test_images_are_fetched_and_embedded_when_asked_for(tmp_path: Path, redis_server: RedisProcess) -> None:
    context = a_context(tmp_path, redis_server.url)
    publish(context, a_project(context, IMAGE_CONFIG), cached=20)
    endpoint = Endpoint(context)
    endpoint.start()
    cached, *unseen = [image for image, _ in images(24)][19:]
    truncated, not_allowed = unseen[0][:82], "http://example.org/image.png"
    answers = endpoint.predict(tasks([cached, truncated, *unseen, not_allowed], "image"), KEY, IMAGE_CONFIG)
    endpoint.stop()
    assert (answers[1], answers[-1]) == ([], [])
    assert [choice(answer) for answer in answers if answer] == [label for _, label in images(24)[19:]]
    assert LabelInterface(IMAGE_CONFIG).validate_prediction(answers[2], return_errors=True) == []


def test_what_was_embedded_here_is_not_embedded_again(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = "a text no worker has seen: ripe pear"
    first = endpoint.predict(tasks([fresh]), KEY, CONFIG)
    monkeypatch.setattr("labelloop.service.reading.text_of", _fail)
    assert endpoint.predict(tasks([fresh]), KEY, CONFIG) == first


def test_a_conversation_is_read_as_the_config_has_it_now(context: Context) -> None:
    publish(context, a_project(context))
    endpoint = Endpoint(context)
    endpoint.start()
    said = [[{"text": "ripe apple pear orchard", "other": "iron steel furnace rust"}]]
    talk = CONFIG.replace("<Text ", "<Paragraphs ")
    answers = [
        endpoint.predict(tasks(said), KEY, config) for config in (talk, talk.replace("$text", '$text" textKey="other'))
    ]
    endpoint.stop()
    assert [choice(answer) for (answer,) in answers] == ["fruit", "metal"]


def test_the_words_of_an_encoded_text_are_what_is_predicted(endpoint: Endpoint) -> None:
    encoded = CONFIG.replace("<Text ", '<Text encoding="base64" ')
    written = [base64.b64encode(text.encode()).decode() for text, _ in texts(4)]
    assert [choice(answer) for answer in endpoint.predict(tasks(written), KEY, encoded)] == [
        said for _, said in texts(4)
    ]


def test_a_failure_of_ours_is_answered_with_nothing(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labelloop.service.predicting.Reading", _fail)
    assert endpoint.predict(tasks(["ripe apple"]), KEY, CONFIG) == [[]]


def _fail(*args: object) -> object:
    raise RuntimeError("on purpose")


def test_what_is_not_reached_in_time_is_answered_with_nothing(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = a_context(tmp_path, redis_server.url, predict_deadline=0.4)
    publish(context, a_project(context))
    endpoint = Endpoint(context)
    endpoint.start()
    released = threading.Event()
    monkeypatch.setattr("labelloop.service.reading.text_of", lambda *_: released.wait(20) and "late")
    started = time.monotonic()
    answers = endpoint.predict(tasks(["not seen before", texts(1)[0][0], *map(str, range(100))]), KEY, CONFIG)
    took = time.monotonic() - started
    released.set()
    endpoint.stop()
    assert took < 1.5
    assert [bool(answer) for answer in answers] == [False, True, *[False] * 100]


def test_one_slow_source_does_not_cost_the_others_their_answer(
    tmp_path: Path, redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = a_context(tmp_path, redis_server.url, predict_deadline=1.0)
    publish(context, a_project(context))
    endpoint = Endpoint(context)
    endpoint.start()
    released = threading.Event()
    monkeypatch.setattr(
        "labelloop.service.reading.text_of", lambda text, _, **names: ("slow" in text and released.wait(20)) or text
    )
    answers = endpoint.predict(tasks(["slow", "a ripe pear", "rusty steel"]), KEY, CONFIG)
    released.set()
    endpoint.stop()
    assert [bool(answer) for answer in answers] == [False, True, True]


def test_a_request_sees_one_version_throughout(endpoint: Endpoint, context: Context) -> None:
    project = a_project(context)
    stamps: list[set[str]] = []

    def ask() -> None:
        while len({stamp for seen in stamps for stamp in seen}) < 3:
            answers = endpoint.predict(tasks([text for text, _ in texts(40)]), KEY, CONFIG)
            stamps.append({answer["model_version"] for answer in answers})

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(2):
        name = publish(context, project).name
        wait_for(lambda name=name: endpoint.setup(KEY, CONFIG)["model_version"] == name)
        time.sleep(0.05)
    asking.join(20)
    assert not asking.is_alive()
    assert all(len(seen) == 1 for seen in stamps)
