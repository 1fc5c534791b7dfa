"""The entry that `label-studio-ml start backend` runs: LabelLoop behind label-studio-ml's own Flask app.

`label-studio-ml start DIR` runs `python DIR/_wsgi.py` with the arguments it does not know itself; a WSGI server takes `app` from here.
label-studio-ml's views keep one model for all projects and train inside the request, so each is replaced; `labelloop serve` is the
server to prefer.
"""

import argparse
import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, jsonify, request
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from labelloop.errors import PayloadError
from labelloop.hooks import LabelLoop  # before label_studio_ml.api, which would bring torch with it
from labelloop.service.auth import CHALLENGE, REFUSAL, is_allowed
from labelloop.service.bodies import (
    JobRequest,
    PredictRequest,
    ProjectRequest,
    SetupRequest,
    describe_faults,
    printable,
)
from labelloop.service.context import open_context
from labelloop.service.edge import MAX_BODY
from labelloop.service.endpoint import HARMLESS, Endpoint
from labelloop.settings import Settings, load_settings

logger = logging.getLogger(__name__)
View = Callable[[], dict[str, Any]]


def create_flask(endpoint: Endpoint) -> Flask:
    """label-studio-ml's app with every view answered by the endpoint."""
    from label_studio_ml.api import init_app

    app: Flask = init_app(LabelLoop.bound_to(endpoint))
    # Its own hooks log headers and bodies, tokens included, and its error handlers answer with tracebacks.
    for registry in (app.before_request_funcs, app.after_request_funcs, app.error_handler_spec):
        registry.clear()
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    for (method, path), view in _views(endpoint).items():
        _answer_with(app, method, path, view)
    app.before_request(lambda: _refusal(endpoint.settings))
    app.register_error_handler(Exception, _fault)
    return app


def _views(endpoint: Endpoint) -> dict[tuple[str, str], View]:
    hooks = LabelLoop.bound_to(endpoint)

    def setup() -> dict[str, Any]:
        body = SetupRequest.model_validate(request.get_json())
        return hooks(body.project, body.label_schema).setup()

    def predict() -> dict[str, Any]:
        body = PredictRequest.model_validate(request.get_json())
        return {"results": hooks(body.project, body.label_config).predict(body.tasks, context=body.context)}

    def webhook() -> dict[str, Any]:
        body = request.get_json()
        if not isinstance(body, dict):
            raise PayloadError("An event is a JSON object with an `action`.")
        return hooks().fit(body.get("action", ""), body)

    views: dict[tuple[str, str], View] = {
        ("GET", "/"): endpoint.health,
        ("GET", "/health"): endpoint.health,
        ("GET", "/metrics"): endpoint.metrics,
        ("GET", "/is_training"): endpoint.metrics,
        ("GET", "/versions"): endpoint.versions,
        ("POST", "/versions"): lambda: endpoint.versions(ProjectRequest.model_validate(request.get_json()).project),
        ("POST", "/setup"): setup,
        ("POST", "/predict"): predict,
        ("POST", "/webhook"): webhook,
        ("POST", "/train"): lambda: endpoint.train(ProjectRequest.model_validate(request.get_json()).project),
        ("POST", "/job_status"): lambda: endpoint.job_status(JobRequest.model_validate(request.get_json()).job),
    }
    return views | {("POST", path): _constant(detail) for path, detail in HARMLESS.items()}


def _constant(detail: str) -> View:
    return lambda: {"status": "ignored", "detail": detail}


def _answer_with(app: Flask, method: str, path: str, view: View) -> None:
    """Put the view in place of label-studio-ml's own, whichever release it is, or beside it where there is none."""
    for rule in app.url_map.iter_rules():
        if rule.rule == path and method in (rule.methods or ()):
            app.view_functions[rule.endpoint] = view
            return
    app.add_url_rule(path, f"{method} {path}", view, methods=[method])


def _refusal(settings: Settings) -> Response | None:
    if is_allowed(request.headers.get("Authorization"), settings.basic_auth):
        return None
    refusal: Response = jsonify(detail=REFUSAL)
    refusal.status_code = 401
    refusal.headers.update(CHALLENGE)
    return refusal


def _fault(error: Exception) -> tuple[dict[str, str], int]:
    match error:
        case HTTPException():
            return {"detail": error.description or error.name}, error.code or 500
        case ValidationError():
            return {"detail": describe_faults(error.errors(include_input=False))}, 422
        case PayloadError():
            return {"detail": printable(str(error))}, 400
    logger.error("A request failed", exc_info=error)
    return {"detail": f"{type(error).__name__}: the server's log says more."}, 500


def _running_app(settings: Settings) -> Flask:
    endpoint = Endpoint(open_context(settings))
    endpoint.start()
    return create_flask(endpoint)


def main() -> None:
    """Serve, as `label-studio-ml start` asks."""
    parser = argparse.ArgumentParser(description="Labelloop under label-studio-ml")
    parser.add_argument("-p", "--port", type=int, help="port, otherwise LABELLOOP_PORT or 9090")
    parser.add_argument("--host", help="address, otherwise LABELLOOP_HOST or 127.0.0.1")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    given, others = parser.parse_known_args()
    logging.basicConfig(level=given.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if others:
        logger.warning("Not used here: %s; Labelloop is set by LABELLOOP_… in the environment", " ".join(others))
    asked = {name: value for name in ("host", "port") if (value := getattr(given, name)) is not None}
    settings = load_settings(**asked)
    _running_app(settings).run(host=settings.host, port=settings.port, threaded=True)


if __name__ == "__main__":
    main()
else:
    app = _running_app(load_settings())
