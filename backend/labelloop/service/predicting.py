"""From tasks to Label Studio's predictions, with one live model."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from labelloop.errors import LabelConfigError
from labelloop.labelstudio import prediction_json, showable
from labelloop.labelstudio.codecs.attributes import asked_about, asked_parts
from labelloop.labelstudio.pieces import in_pieces
from labelloop.labelstudio.prompts import prompts_about
from labelloop.labelstudio.tasks import Region
from labelloop.learning import AskedItems, Reads
from labelloop.records import Control, Kind, Part, Prediction, value_of
from labelloop.service.live import LiveLearner, LiveModel
from labelloop.service.ondemand import Found, Item, OnDemand
from labelloop.service.ordering import counting, score_of, still_asked_for, worth_showing
from labelloop.service.prompting import answer_prompts
from labelloop.service.reading import Reading
from labelloop.settings import Settings

logger = logging.getLogger(__name__)

Answer = dict[str, Any] | list[Any]
Said = dict[Control, Prediction]


class Predictor:
    """Predicts tasks, each on its own: what goes wrong with one leaves the others as they are.

    Args:
        settings: the deadline, and the confidence below which nothing is shown.
        ondemand: gives features the worker has not computed.
    """

    def __init__(self, settings: Settings, ondemand: OnDemand) -> None:
        self._settings = settings
        self._ondemand = ondemand

    def answer(
        self,
        model: LiveModel,
        tasks: Sequence[Mapping[str, Any]],
        label_config: str | None,
        drawn: Sequence[Region] = (),
    ) -> list[Answer]:
        """One item per task, in order.

        Args:
            model: what is live.
            tasks: as Label Studio sends them.
            label_config: the config as it is now; None stands for the last one heard of.
            drawn: regions that the annotator has drawn so far and wants answered.

        Returns:
            For each task a prediction (`result`, `score` in [0, 1], `model_version`), or `[]` where there is none.
        """
        deadline = time.monotonic() + self._settings.predict_deadline
        said: list[Said] = [{} for _ in tasks]
        proposed: list[Said] = [{} for _ in tasks] if drawn else said
        asked = list(_still_asked_for(model, label_config or model.project.label_config))
        in_question = asked_about(control for _, control in asked)
        for live, control in asked:
            try:
                for place, prediction in self._predict(live, control, tasks, proposed, deadline):
                    told = in_pieces(prediction) if control.name in in_question else prediction
                    said[place][control] = told
                    if drawn and (answer := _prompted(control, told, drawn, tasks[place]["data"])) is not None:
                        proposed[place][control] = answer
            except Exception:  # at the edge of the process: an empty answer is worth more to Label Studio than an error
                logger.exception("Control %r of %s could not be predicted", control.name, model.project.slug)
        return [
            self._item(model.version, found, answers, task, drawn) if found else []
            for found, answers, task in zip(said, proposed, tasks, strict=True)
        ]

    def _predict(
        self,
        live: LiveLearner,
        control: Control,
        tasks: Sequence[Mapping[str, Any]],
        said: Sequence[Said],
        deadline: float,
    ) -> Iterator[tuple[int, Prediction]]:
        """What a control's learner says of each task, by its place; of regions it is asked about those among what others said."""
        found = self._features(live, control, tasks, deadline)
        places = [place for place, one in enumerate(found) if one is not None]
        if not places:
            return
        asks = live.learner.reads is Reads.PARTS
        parts = [asked_parts(control, _by_name(said[place])) for place in places] if asks else []
        inputs = _inputs(live.learner.reads, [one for one in found if one is not None], parts)
        yield from zip(places, live.learner.predict(inputs), strict=True)

    def _features(
        self, live: LiveLearner, control: Control, tasks: Sequence[Mapping[str, Any]], deadline: float
    ) -> list[Found | None]:
        items = {place: item for place, task in enumerate(tasks) if (item := _item_of(control, task)) is not None}
        features: list[Found | None] = [None] * len(tasks)
        reading = Reading(control, self._settings)
        keys = [reading.key(item.value) for item in items.values()]
        matrix, found = live.features.get(keys)
        places = np.array(list(items), dtype=int)
        for place, row, dense in zip(places[found], matrix, live.features.dense(keys), strict=True):
            features[place] = Found(row, dense) if np.isfinite(row).all() else None
        missing = [int(place) for place in places[~found]]
        computed = self._ondemand.features(live.record, control, [items[place] for place in missing], deadline)
        for place, one in zip(missing, computed, strict=True):
            features[place] = one
        return features

    def _item(
        self, version: str, said: Said, proposed: Said, task: Mapping[str, Any], drawn: Sequence[Region]
    ) -> dict[str, Any]:
        predictions = _by_name(said)
        shown = (
            list(proposed.items())
            if drawn
            else worth_showing(said, predictions, self._settings.show_threshold, task["data"])
        )
        score = score_of(counting(said, predictions, task["data"], drawn), self._settings)
        item = prediction_json(0, version, score, shown, task["data"], drawn)
        del item["task"]  # the item's place in the answer says which it is
        return item


def _by_name(said: Said) -> dict[str, Prediction]:
    return {control.name: prediction for control, prediction in said.items()}


def _prompted(
    control: Control, prediction: Prediction, drawn: Sequence[Region], data: Mapping[str, Any]
) -> Prediction | None:
    """What to propose for a control where the annotator has drawn something; None where that is no prompt to it.

    Label Studio may take what is proposed at once, and what is proposed of the whole item would replace the annotator's own.
    """
    if control.kind is Kind.ATTRIBUTES:  # said of the regions that are proposed
        return showable(control, prediction, data)
    value = value_of(data, control.data_key)
    prompts = prompts_about(control, drawn, value)
    answer = answer_prompts(control, prediction, prompts, value) if prompts else None
    return None if answer is None else showable(control, answer, data)


def _still_asked_for(model: LiveModel, label_config: str) -> Iterator[tuple[LiveLearner, Control]]:
    """The learners whose control the config still has, each with the control as it is now."""
    if not model.learners:
        return
    try:
        controls = still_asked_for([live.record for live in model.learners], label_config)
    except LabelConfigError as error:
        logger.warning("Project %d: %s", model.project.key.id, error)
        return
    for live in model.learners:
        if live.record.control.name in controls:
            yield live, controls[live.record.control.name]


def _inputs(reads: Reads, found: Sequence[Found], parts: Sequence[Sequence[Part]]) -> Any:
    """What a learner reads of some items; of regions it is asked about `parts`."""
    if reads is Reads.ROWS:
        return np.stack([one.row for one in found])
    dense = [one.dense for one in found if one.dense is not None]
    return AskedItems(dense, parts) if reads is Reads.PARTS else dense


def _item_of(control: Control, task: Mapping[str, Any]) -> Item | None:
    data, task_id = task.get("data"), task.get("id")
    value = value_of(data, control.data_key) if isinstance(data, dict) else None
    return None if value is None else Item(task_id if isinstance(task_id, int) else 0, value)
