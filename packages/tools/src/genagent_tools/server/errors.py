"""Errors in the shape of OpenAI's: ``{"error": {"message", "type", "param", "code"}}``."""

import json
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorDetail


class ApiError(Exception):
    """A request that cannot be served; becomes its answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code
        self.retry_after = retry_after
        """Seconds after which the same request may succeed."""

    def response(self) -> Response:
        """This error as an HTTP answer."""
        headers: dict[str, str] = {}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.status == 408:
            # Bytes of the body may still be on their way.
            headers["connection"] = "close"
        return error_response(
            self.status, str(self), param=self.param, code=self.code, headers=headers
        )


def error_response(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that says what went wrong."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Response(
        json.dumps({"error": error}),
        status_code=status,
        media_type="application/json",
        headers=dict(headers or {}),
    )


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of the app in the same shape."""

    async def on_api_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return error.response()

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = [str(part) for part in first["loc"][1:]]
        if first["type"] == "json_invalid":
            return error_response(400, "the body is not JSON", code="invalid_json")
        if not where:
            message = "send a JSON object with Content-Type: application/json"
            return error_response(422, message, code=first["type"])
        param = ".".join(where)
        return error_response(422, f"{param}: {first['msg']}", param=param, code=first["type"])

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message = str(error.detail)
        if error.status_code in (404, 405):
            message += f": {request.method} {request.url.path}; see /openapi.json"
        return error_response(error.status_code, message, headers=error.headers)

    async def on_bug(request: Request, error: Exception) -> Response:
        return error_response(500, "the server failed; its log says why")

    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)
