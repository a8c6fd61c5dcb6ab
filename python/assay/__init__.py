"""Assay: hyperparameter tuning as a service.

    import assay

    study = assay.Client().submit("study.yaml").wait()
    print(study.best())

In a script that is tuned: assay.parameters(), assay.report(step=3, loss=0.4), assay.should_stop().
"""

from ._records import Advice, Ahead, Best, Importance, Measurement, StopDecision, TrialRecord
from .client import Client
from .context import (budget, checkpoint_dir, in_trial, output_dir, parameters, report,
                      should_stop)
from .errors import (AccessError, BadRequestError, ConflictError, ConnectionFailedError, Error,
                     Fault, ForbiddenError, IdempotencyMismatchError, InternalError, InvalidError,
                     InvalidJsonError, InvalidStudyError, InvalidValueError, InvalidYamlError,
                     IoError, MethodNotAllowedError, NotAcceptableError, NotFoundError,
                     PluginError, PreconditionFailedError, StudyExistsError, StudyFinishedError,
                     TemporaryError, TimedOutError, TooLargeError, TooManyRequestsError,
                     TrialFinishedError, UnauthorizedError, UnavailableError,
                     UnsupportedMediaTypeError)
from .study import Study, Suggestions
from .trial import Infeasible, Trial

__version__ = "0.1.0"

__all__ = [
    "AccessError", "Advice", "Ahead", "BadRequestError", "Best", "Client", "ConflictError",
    "ConnectionFailedError", "Error", "Fault", "ForbiddenError", "IdempotencyMismatchError",
    "Importance", "Infeasible", "InternalError", "InvalidError", "InvalidJsonError",
    "InvalidStudyError", "InvalidValueError", "InvalidYamlError", "IoError", "Measurement",
    "MethodNotAllowedError", "NotAcceptableError", "NotFoundError", "PluginError",
    "PreconditionFailedError", "StopDecision", "Study", "StudyExistsError", "StudyFinishedError",
    "Suggestions", "TemporaryError", "TimedOutError", "TooLargeError", "TooManyRequestsError",
    "Trial", "TrialFinishedError", "TrialRecord", "UnauthorizedError", "UnavailableError",
    "UnsupportedMediaTypeError", "budget", "checkpoint_dir", "in_trial", "output_dir", "parameters",
    "report", "should_stop",
]
