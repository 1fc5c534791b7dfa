"""Every failure Labelloop raises on purpose.

LabelloopError
├── SettingsError             a setting is missing, unknown or contradicts another
├── LabelConfigError          a label config cannot be read, or holds nothing Labelloop can learn
├── PayloadError              a request from Label Studio is not of the expected form
├── LabelStudioError          Label Studio could not be asked, or refused
│   ├── LabelStudioUnreachable    no answer, a time-out, or a 5xx; worth trying again
│   ├── LabelStudioDenied         401 or 403: the token is wrong, expired or lacks the right
│   │   └── TokenRefused              there is no token, or it is not accepted
│   └── LabelStudioRejected       any other 4xx: the request itself is wrong
├── MediaError                the media of one task could not be had
│   ├── MediaUnavailable          for now: time-out, 5xx, no network; worth trying again
│   └── MediaBroken               for good: missing, forbidden host, too large, not what it claims to be
├── DataSetError              a labelled data set that is to be replayed cannot be read
├── StoreError                the store cannot be read or written
├── LearningError             a model cannot be trained or used
│   ├── NotEnoughLabels           fewer labels or classes than a model needs
│   └── WeightsNotFound           a backbone's weights are neither here nor to be had
├── VersionError              a version does not exist, or cannot be made live
└── StartError                something `labelloop up` runs could not be installed or started

Each carries one sentence that says what went wrong, where, and how to mend it.
"""


class LabelloopError(Exception):
    """Base of everything Labelloop raises on purpose."""


class SettingsError(LabelloopError):
    """A setting is missing, unknown or contradicts another."""


class LabelConfigError(LabelloopError):
    """A label config cannot be read, or holds nothing Labelloop can learn."""


class PayloadError(LabelloopError):
    """A request from Label Studio is not of the expected form."""


class LabelStudioError(LabelloopError):
    """Label Studio could not be asked, or refused."""


class LabelStudioUnreachable(LabelStudioError):
    """No answer, a time-out, or a 5xx; worth trying again."""


class LabelStudioDenied(LabelStudioError):
    """401 or 403: the token is wrong, expired or lacks the right."""


class TokenRefused(LabelStudioDenied):
    """There is no token, or it is not accepted."""


class LabelStudioRejected(LabelStudioError):
    """Any other 4xx: the request itself is wrong.

    Attributes:
        status: the HTTP status Label Studio answered with.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class MediaError(LabelloopError):
    """The media of one task could not be had."""


class MediaUnavailable(MediaError):
    """The media cannot be had for now: time-out, 5xx, no network; worth trying again."""


class MediaBroken(MediaError):
    """The media will not get better by trying again: missing, forbidden host, too large, not what it claims to be."""


class DataSetError(LabelloopError):
    """A labelled data set that is to be replayed cannot be read."""


class StoreError(LabelloopError):
    """The store cannot be read or written."""


class LearningError(LabelloopError):
    """A model cannot be trained or used."""


class NotEnoughLabels(LearningError):
    """Fewer labels or classes than a model needs."""


class WeightsNotFound(LearningError):
    """A backbone's weights are neither here nor to be had."""


class VersionError(LabelloopError):
    """A version does not exist, or cannot be made live."""


class StartError(LabelloopError):
    """Something `labelloop up` runs could not be installed or started."""
