"""Turns candidates into published versions, and names the backbones they stand on."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as library_version
from typing import Any

from labelloop.errors import LearningError, NotEnoughLabels, VersionError
from labelloop.learning import (
    JOINT,
    LEARNERS,
    BackboneSpec,
    Learner,
    Parts,
    Reads,
    Training,
    detected_labels,
    learner_of,
    resolve_backbone,
)
from labelloop.records import Control, Kind, Modality
from labelloop.service.state import now_iso
from labelloop.service.training import Candidate, training_options
from labelloop.service.versions import LearnerRecord, Version, Versions
from labelloop.settings import Settings

logger = logging.getLogger(__name__)

RECORDED_LIBRARIES = ("labelloop", "numpy", "scikit-learn", "torch", "torchvision", "sentence-transformers")
RECORDED_SETTINGS = (
    "strategy",
    "reduction",
    "cold_strategy",
    "cold_labels_per_class",
    "semi_supervised",
    "ensemble",
    "ensemble_combination",
    "holdout_share",
    "holdout_from",
    "holdout_min",
    "gate_tolerance",
)


def learner_record(settings: Settings, control: Control, live: Version | None) -> LearnerRecord:
    """The control with its backbone; one that the live version found for the same request is not looked for again.

    One that was fine-tuned for a control stays with that control.
    """
    spec = backbone_spec(settings, control)
    learners = live.learners if live else ()
    for known in sorted(learners, key=lambda known: known.control.name != control.name):
        if known.backbone.tuned and (known.control.name != control.name or _has_outgrown(control, known)):
            continue
        if known.backbone_spec == spec or (known.backbone.tuned and asks_alike(known.backbone_spec, spec)):
            # What is tuned may tell of other parts than what it was tuned from.
            spec = replace(spec, parts=known.backbone_spec.parts)
            return LearnerRecord(control, control.labels, "", spec, known.backbone)
    resolved = resolve_backbone(spec)
    if resolved.note:
        logger.warning("%s", resolved.note)
    return LearnerRecord(control, control.labels, "", spec, resolved)


def asks_alike(one: BackboneSpec, other: BackboneSpec) -> bool:
    """Whether two specs ask for the same weights, whatever parts, where they run, and whether they may be downloaded."""
    return replace(one, parts=other.parts, device=other.device, offline=other.offline) == other


def _has_outgrown(control: Control, known: LearnerRecord) -> bool:
    """Whether a control asks for classes that a network which answers by itself was not trained to tell."""
    return known.backbone_spec.parts is Parts.OUTPUT and not set(control.labels) <= set(known.control.labels)


def backbone_spec(settings: Settings, control: Control) -> BackboneSpec:
    """The backbone the settings ask for, with the features that the control's learner reads."""
    if (answering := _answering_spec(settings, control)) is not None:
        return answering
    parts = Parts.NONE
    if LEARNERS[control.kind].reads is not Reads.ROWS:
        parts = Parts.MAP if control.modality is Modality.IMAGE else Parts.TOKENS
    if control.modality is Modality.IMAGE:
        name, weights = settings.image_backbone, settings.image_weights
    else:
        name, weights = settings.text_backbone, ""
    if parts is not Parts.NONE:  # one network's parts do not lie where another's do
        name = name.split(JOINT)[0]
    return BackboneSpec(control.modality, name, weights, settings.device, settings.offline, parts)


def _answering_spec(settings: Settings, control: Control) -> BackboneSpec | None:
    """The network that answers in the control's own terms, where the settings name one that can."""
    named = {Kind.TEXT: settings.text_writer, Kind.BOXES: settings.image_detector}.get(control.kind, "")
    if not named:
        return None
    spec = BackboneSpec(control.modality, named, "", settings.device, settings.offline, Parts.OUTPUT)
    if control.kind is Kind.TEXT:  # what writes reads texts alone
        told = replace(spec, prefix=settings.text_writer_prefix, languages=settings.text_writer_languages)
        return told if control.modality is Modality.TEXT else None
    return spec if control.labels and control.labels == detected_labels(spec, control) else None


def release(
    versions: Versions,
    parent: Version | None,
    candidates: Mapping[str, Candidate],
    controls: Sequence[Control],
    settings: Settings,
) -> Version:
    """Publish candidates as one version and make it live.

    What the live version has learnt for other controls goes along as it is: one whose candidate was refused, or that nobody
    has answered yet, goes on predicting. So does what answers by itself where nothing else does.

    Args:
        versions: the project's.
        parent: the live version that they were judged against.
        candidates: by control name; none where what is live goes on under a new name, or there is only more that answers by itself.
        controls: the config's, in whose order the learners are kept.
        settings: what is recorded of them, and the order of the queue.

    Raises:
        VersionError: the live version is no longer the one they were judged against (somebody rolled back meanwhile).
    """

    def check() -> None:
        if versions.live_name() != (parent.name if parent else None):
            raise VersionError(
                "The live version changed during the training; the candidate is judged again in the next round."
            )

    check()
    name, number = versions.next_name("trained")
    carried = _carried(parent, candidates, controls)
    rest = [control for control in controls if control.name not in candidates]
    brought = untaught(settings, rest, parent)
    found = carried | {name: candidate.record for name, candidate in candidates.items()}
    found |= {name: record for name, (record, _) in brought.items()}
    records = [found[control.name] for control in controls if control.name in found]
    version = Version(
        name=name,
        number=number,
        created_at=now_iso(),
        stage="trained",
        parent=parent.name if parent else None,
        order=settings.strategy,
        learners=tuple(records),
        labels=sum(record.labels for record in records),
        holdout=sum(record.holdout for record in records),
        reason=" ".join(
            [
                *([reasons(candidates, controls)] if candidates else []),
                *(f"{name!r} stays as it was." for name in carried),
                *(_brings(record) for record, _ in brought.values()),
            ]
        ),
        settings=_recorded_settings(settings),
        libraries=_libraries(),
    )
    learners = {name: candidate.learner for name, candidate in candidates.items()}
    learners |= {name: learner for name, (_, learner) in brought.items()}
    if parent is not None:
        learners |= {name: versions.learner(parent.name, record) for name, record in carried.items()}
    versions.publish(version, learners, _labels(versions, parent, candidates, carried), check)
    return version


def reasons(candidates: Mapping[str, Candidate], controls: Sequence[Control]) -> str:
    """Why the gate decided as it did, by control where the config has several."""
    several = len(controls) > 1
    return " ".join(
        f"{name!r}: {one.decision.reason}" if several else one.decision.reason for name, one in candidates.items()
    )


def _carried(
    parent: Version | None, candidates: Mapping[str, Candidate], controls: Sequence[Control]
) -> dict[str, LearnerRecord]:
    """The live version's learners of controls that are still asked for and have no new one, by name."""
    asked = {control.name: control for control in controls if control.name not in candidates}
    learnt = {record.control.name: record for record in (parent.learnt if parent else ())}
    return {name: learnt[name] for name, control in asked.items() if name in learnt and learnt[name].answers(control)}


def _labels(
    versions: Versions, parent: Version | None, candidates: Mapping[str, Candidate], carried: Collection[str]
) -> dict[str, dict[str, Any]]:
    """What every learner was trained and judged on, by control; of those carried over as the live version has it."""
    known = versions.labels(parent.name) if parent else {}
    new: dict[str, dict[str, Any]] = {
        "labels": {name: candidate.labels for name, candidate in candidates.items()},
        "sides": {name: candidate.sides for name, candidate in candidates.items()},
        "judged": {name: sorted(candidate.judged) for name, candidate in candidates.items()},
    }
    return {
        what: {name: said for name, said in known.get(what, {}).items() if name in carried} | told
        for what, told in new.items()
    }


def release_cold(versions: Versions, controls: tuple[Control, ...], settings: Settings) -> Version:
    """Publish a version that has learnt nothing: it orders the queue so that the first labels cover the pool.

    Where a backbone answers in a control's own terms by itself, as a translation model does, it pre-annotates already.
    """
    name, number = versions.next_name("cold")
    brought = untaught(settings, controls, None)
    records = {
        control.name: brought[control.name][0] if control.name in brought else learner_record(settings, control, None)
        for control in controls
    }
    version = Version(
        name=name,
        number=number,
        created_at=now_iso(),
        stage="cold",
        parent=None,
        order=settings.cold_strategy,
        learners=tuple(records.values()),
        reason=" ".join(
            ["Nothing is learnt yet; the queue covers the pool.", *(_brings(record) for record, _ in brought.values())]
        ),
        settings=_recorded_settings(settings),
        libraries=_libraries(),
    )
    versions.publish(version, {name: learner for name, (_, learner) in brought.items()}, {})
    return version


def untaught(
    settings: Settings, controls: Iterable[Control], live: Version | None
) -> dict[str, tuple[LearnerRecord, Learner]]:
    """What answers by itself for those of the controls that nothing of the live version answers, by name, as far as it can be had."""
    answered = {record.control.name for record in live.learnt} if live else set()
    found = {}
    for control in controls:
        if control.name in answered or _answering_spec(settings, control) is None:
            continue
        try:
            record = learner_record(settings, control, live)
            learner = _untaught(settings, record)
        except LearningError as error:
            logger.warning("%r is not pre-annotated: %s", control.name, error)
            continue
        if learner is not None:
            found[control.name] = replace(record, kind=learner.kind, meta=learner.meta()), learner
    return found


def _brings(record: LearnerRecord) -> str:
    return f"{record.control.name!r} is pre-annotated by {record.backbone.name} as it is, which has learnt from no label here."


def _untaught(settings: Settings, record: LearnerRecord) -> Learner | None:
    """The learner of a backbone that answers by itself before anybody has labelled anything; None where it does not."""
    if record.backbone.name == "plain":
        return None
    try:
        options = training_options(settings, record)
        return learner_of(record.control.kind, Parts.OUTPUT).train(Training([], [], record.classes, options=options))
    except NotEnoughLabels as error:
        logger.info("%s", error)
        return None


def _recorded_settings(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in RECORDED_SETTINGS}


def _libraries() -> dict[str, str]:
    found = {}
    for name in RECORDED_LIBRARIES:
        try:
            found[name] = library_version(name)
        except PackageNotFoundError:
            continue
    return found
