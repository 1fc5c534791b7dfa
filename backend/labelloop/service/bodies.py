"""Bodies of Label Studio's requests and of our answers, as its client of version 1.23 sends and reads them."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Body(BaseModel):
    """A request; fields that later releases of Label Studio add are let through."""

    model_config = ConfigDict(extra="allow", protected_namespaces=(), coerce_numbers_to_str=True)


class SetupRequest(_Body):
    """Sent before every prediction and whenever the backend's state is shown."""

    project: str | None = Field(default=None, description="`<id>.<created timestamp>`", examples=["3.1795471905"])
    label_schema: str | None = Field(default=None, alias="schema", description="The label config, XML.")


class PredictParams(_Body):
    """The rest of a prediction request."""

    context: dict[str, Any] | None = Field(
        default=None, description="What the annotator has drawn so far, when interactive."
    )


class PredictRequest(_Body):
    """Tasks to be predicted, all at once."""

    tasks: list[dict[str, Any]] = Field(description="Tasks as Label Studio serialises them.")
    project: str | None = Field(default=None, description="`<id>.<created timestamp>`")
    label_config: str | None = Field(default=None, description="The label config, XML.")
    params: PredictParams | None = None

    @property
    def context(self) -> dict[str, Any] | None:
        """What the annotator has drawn so far; None when the request is not interactive."""
        return self.params.context if self.params else None


class ProjectRequest(_Body):
    """Any other request that may name a project."""

    project: str | None = Field(default=None, description="`<id>.<created timestamp>`")


class JobRequest(_Body):
    """A question about a training."""

    job: str = Field(description="As answered when it was asked for.")


class HealthAnswer(BaseModel):
    """The server is up."""

    status: str = Field(examples=["UP"])
    projects: int = Field(description="Projects known.")


class SetupAnswer(BaseModel):
    """What Label Studio stamps and compares predictions with."""

    model_config = ConfigDict(protected_namespaces=())
    model_version: str = Field(min_length=1)


class PredictAnswer(BaseModel):
    """One item per task, in order: a prediction, or an empty list where there is none."""

    results: list[dict[str, Any] | list[Any]]


class EventAnswer(BaseModel):
    """What was done with an event."""

    model_config = ConfigDict(extra="allow")
    status: str
    detail: str


class VersionsAnswer(BaseModel):
    """Names of published versions, newest first."""

    versions: list[str]


class Fault(BaseModel):
    """Why a request was not served."""

    detail: str


def describe_faults(faults: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic found wrong with a body, without repeating any of it: it may hold secrets."""
    said = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults[:5])
    return printable(said)


def printable(text: str) -> str:
    """The text with everything escaped that JSON in UTF-8 cannot carry, such as half a surrogate pair."""
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")
