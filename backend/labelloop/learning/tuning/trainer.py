"""One fine-tuning under way: steps, looks at the validation items, checkpoints, and when it ends."""

import logging
import time
from collections.abc import Mapping, Sequence, Sized
from typing import Any, Final, Protocol

from labelloop.errors import LearningError
from labelloop.learning.backbones.torch_running import note_run, out_of_memory, release_memory
from labelloop.learning.tuning.checkpoints import Checkpoint, pack
from labelloop.learning.tuning.conduct import Conduct
from labelloop.learning.tuning.judged import Judged
from labelloop.learning.tuning.options import TuneOptions
from labelloop.learning.tuning.records import Ending, EpochNote
from labelloop.learning.tuning.standing import Standing, Tensors, joined, parted

logger = logging.getLogger(__name__)

# Loss by which an epoch must be better than the best to count.
GAIN: Final = 1e-4


class Judging(Protocol):
    """Labelled items that decide when to stop."""

    @property
    def targets(self) -> Sized:
        """What is right for each."""
        ...


class Stepping(Protocol):
    """A model and how it learns, a step at a time."""

    @property
    def per_epoch(self) -> int:
        """Steps of an epoch."""
        ...

    @property
    def judged(self) -> Any:
        """The torch module whose answers count."""
        ...

    def step(self, number: int, steps: int) -> None:
        """Do step `number` of `steps`."""
        ...

    def judge(self, items: Any, rows: Sequence[int]) -> Judged:
        """What is found in some rows of the validation items."""
        ...

    def state(self) -> tuple[dict[str, Tensors], dict[str, Any]]:
        """What a checkpoint must hold of it: tensors by part, and JSON values."""
        ...

    def restore(self, parts: Mapping[str, Tensors], scaler: Mapping[str, Any]) -> None:
        """Go on from there."""
        ...


class Trainer:
    """Trains a model until it ends, or has to give way.

    Args:
        steps: the model and how it learns.
        validation: what decides when to stop, and which epoch is best.
        options: how.
        conduct: what it gives way to, and where checkpoints are kept.
        fingerprint: names what is trained on what and how.
        checkpoint: of the same fine-tuning, to go on from; None: it begins.
    """

    def __init__(
        self,
        steps: Stepping,
        validation: Judging,
        options: TuneOptions,
        conduct: Conduct,
        fingerprint: str,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.standing = Standing(planned=options.epochs)
        self._steps = steps
        self._validation = validation
        self._options = options
        self._conduct = conduct
        self._fingerprint = fingerprint
        self._best: Tensors = {}
        self._kept_at = self._read_at = time.monotonic()
        if checkpoint is not None:
            self._resume(checkpoint)

    def _resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same fine-tuning."""
        parts = parted(checkpoint.tensors)
        self._best = parts.get("best", {})
        self._steps.restore(parts, checkpoint.facts["scaler"])
        self.standing = Standing.from_json(checkpoint.facts["standing"])

    def run(self) -> Ending | None:
        """Train to the end; None when it gave way. A checkpoint is left behind either way.

        Raises:
            LearningError: the device has too little memory for one item, or none that decides when to stop can be read.
        """
        note_run()
        self._read_at = time.monotonic()
        ending = self._ending()
        while ending is None:
            self._conduct.on_progress(self.standing.step, self._planned_steps)
            whole = self._advance()
            self._spend()
            ending = self._ending()
            # Asked after a step: reading everything takes so long that where much goes on something always waits by then.
            if ending is None and (not whole or self._conduct.give_way()):
                self.keep()
                return None
            if time.monotonic() - self._kept_at >= self._options.checkpoint_every:
                self.keep()
        self.keep()
        return ending

    def take_best(self) -> Any:
        """The model of the best epoch."""
        judged = self._steps.judged
        judged.load_state_dict(self._best)
        return judged

    def keep(self) -> None:
        """Make a checkpoint."""
        self._kept_at = time.monotonic()
        if self._conduct.keeper is None:
            return
        parts, scaler = self._steps.state()
        facts = {"fingerprint": self._fingerprint, "standing": self.standing.to_json(), "scaler": scaler}
        self._conduct.keeper.write(pack(Checkpoint(joined(parts | {"best": self._best}), facts)))

    @property
    def _planned_steps(self) -> int:
        return self.standing.planned * self._steps.per_epoch

    def _advance(self) -> bool:
        """Do a step, or look at the validation items where an epoch is complete or time is up; False when that was broken off."""
        standing = self.standing
        complete = standing.step == len(standing.epochs) * self._steps.per_epoch
        if complete or standing.seen or self._time_is_up:
            return self._look()
        self._steps.step(standing.step, self._planned_steps)
        standing.step += 1
        return True

    @property
    def _time_is_up(self) -> bool:
        return bool(self._options.seconds) and self.standing.seconds >= self._options.seconds

    def _ending(self) -> Ending | None:
        standing = self.standing
        if not standing.epochs:  # the head alone is judged whatever the budget
            return None
        if self._time_is_up and standing.looked == standing.step:
            return "budget"
        if len(standing.epochs) > standing.planned:
            return "all epochs" if standing.planned == self._options.epochs else "budget"
        if len(standing.epochs) - 1 - standing.best >= self._options.patience:
            return "no further gain"
        return None

    def _look(self) -> bool:
        """Judge on the validation items; False when it had to give way before it was through, to go on from there."""
        standing, count = self.standing, len(self._validation.targets)
        self._steps.judged.eval()
        while standing.seen < count:
            rows = range(standing.seen, min(standing.seen + self._options.at_once, count))
            standing.found += self._judged(rows)
            standing.seen = rows.stop
            if standing.seen < count and self._conduct.give_way():
                return False
        if not standing.found.weight:
            raise LearningError("None of the items that decide when to stop can be read.")
        self._note(standing.found)
        return True

    def _judged(self, rows: range) -> Judged:
        """What is found in some rows; where the device has too little memory for them, in halves."""
        try:
            return self._steps.judge(self._validation, rows)
        except RuntimeError as error:
            if not out_of_memory(error) or len(rows) == 1:
                raise
        release_memory()
        half = len(rows) // 2
        return self._judged(rows[:half]) + self._judged(rows[half:])

    def _note(self, found: Judged) -> None:
        standing = self.standing
        standing.looked, standing.seen, standing.found = standing.step, 0, Judged.nothing()
        note = EpochNote(len(standing.epochs), found.loss, found.accuracy)
        standing.epochs.append(note)
        logger.info("Epoch %d: log loss %.4f, accuracy %.3f", note.epoch, note.loss, note.accuracy)
        if note.epoch == 0 or note.loss < standing.epochs[standing.best].loss - GAIN:
            standing.best = note.epoch
            state = self._steps.judged.state_dict()
            self._best = {name: tensor.detach().clone() for name, tensor in state.items()}
        if self._options.seconds and note.epoch:
            # So that the rates come down in time, no more epochs are planned than the budget reaches.
            self._spend()
            reach = int(self._options.seconds / (standing.seconds / note.epoch))
            standing.planned = max(note.epoch, min(self._options.epochs, reach))

    def _spend(self) -> None:
        now = time.monotonic()
        self.standing.seconds += now - self._read_at
        self._read_at = now
