"""LabelLoop, the model class as Label Studio's ML SDK wants it: the door through which its calls reach the Endpoint.

Works with label-studio-ml 1.0.9, the newest on PyPI, and is written for 2.x, whose constructor and `fit` differ.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, ClassVar, Self
from warnings import catch_warnings, simplefilter

from labelloop.service.context import open_context
from labelloop.service.endpoint import Endpoint
from labelloop.service.versions import NO_VERSION


def _import_base() -> type[Any]:
    """`LabelStudioMLBase`, without torch and without noise.

    Its module imports `torch.multiprocessing` when torch is installed, and the standard one otherwise. Torch costs a server that only
    waits half a gigabyte and several seconds, so it is hidden for the time of this import unless it is loaded already. Python also warns
    of escape sequences in label-studio-tools, which nobody here can mend.
    """
    hide = "torch" not in sys.modules
    if hide:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        with catch_warnings():
            simplefilter("ignore")
            base: type[Any] = import_module("label_studio_ml.model").LabelStudioMLBase
    finally:
        if hide:
            del sys.modules["torch"]
    return base


_Base: Any = _import_base()


@lru_cache(maxsize=1)
def process_endpoint() -> Endpoint:
    """The endpoint of a process in which somebody else makes the model, running, from the environment's settings."""
    endpoint = Endpoint(open_context())
    endpoint.start()
    return endpoint


class LabelLoop(_Base):  # type: ignore[misc]
    """One per request; holds nothing but who asks.

    The base's constructor is not called: in 1.0.9 and 2.x it parses the label config, so that a broken one would fail the request
    instead of being answered, and 2.x opens a database besides.

    Args:
        project_id: the project's key, `<id>.<created timestamp>`; label-studio-ml 1.0.9 gives none.
        label_config: the label config, XML.
        **kwargs: what else a release of label-studio-ml passes; not used.
    """

    endpoint: ClassVar[Endpoint | None] = None

    def __init__(self, project_id: str | None = None, label_config: str | None = None, **kwargs: Any) -> None:
        self.project_id = project_id
        self.label_config = label_config

    @classmethod
    def bound_to(cls, endpoint: Endpoint) -> type[Self]:
        """The class, with an endpoint to answer from instead of the process's own."""
        return type(cls.__name__, (cls,), {"endpoint": endpoint, "__doc__": cls.__doc__})

    @property
    def model_version(self) -> str:
        """The live version's name; "untrained" before the first."""
        return str(self.setup().get("model_version", NO_VERSION))

    def setup(self) -> dict[str, Any]:
        """Make the project known; answers the live version's name in `model_version`. Reads memory only."""
        return self._endpoint.setup(self.project_id, self.label_config)

    def predict(
        self, tasks: Sequence[Mapping[str, Any]], context: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[Any]:
        """One item per task, in order: a prediction as a plain dict, or `[]` for a task that cannot be served."""
        return self._endpoint.predict(tasks, self.project_id, self.label_config, context)

    def fit(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Take an event; the training itself runs in a worker.

        Called as `fit(event, data)` by 2.x, and as `fit(tasks, event=…, data=…)` by 1.0.9.

        Returns:
            What was done with the event.
        """
        event = kwargs.get("event", args[0] if args else "")
        data = kwargs.get("data", args[1] if len(args) > 1 else {})
        return self._endpoint.event({**(data if isinstance(data, dict) else {}), "action": event})

    @property
    def _endpoint(self) -> Endpoint:
        return self.endpoint or process_endpoint()
