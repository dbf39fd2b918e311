"""How the API refuses, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel, ConfigDict

PROBLEM_MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457 problem details. errors: for parameters that cannot be used, each with its name."""

    model_config = ConfigDict(extra="allow")
    type: str
    title: str
    status: int
    detail: str


_PROBLEM = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": why, "content": _PROBLEM}
    for status, why in (
        (401, "No token, or one that is unknown or revoked."),
        (404, "Not there, or not yours: the answer is the same."),
        (422, "A parameter or body that cannot be used; `errors` names it."),
        (503, "The database does not answer."),
    )
}
MOVED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "A viewer changes nothing."},
    409: {"content": _PROBLEM, "description": "The state has moved on; `fault` is as it is now."},
}
TOO_MANY: dict[int | str, dict[str, Any]] = {
    403: MOVED[403],
    409: {"content": _PROBLEM, "description": "There are too many, or the state has moved on."},
}
HOLIDAYS_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators change the holidays of a year."},
}
WINDOW_OVER: dict[int | str, dict[str, Any]] = {
    403: MOVED[403],
    409: {
        "content": _PROBLEM,
        "description": "It is over already; `window` is as it is now. Or there are too many.",
    },
}
ADMINISTRATION_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators manage users and tokens."},
    409: {
        "content": _PROBLEM,
        "description": "The name is taken, there are too many, or it is the last operator.",
    },
}
CORRECTION_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators correct figures that are final."},
    409: {
        "content": _PROBLEM,
        "description": "The day was corrected meanwhile, or is no longer as previewed.",
    },
}
REPLAY_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators have messages judged again."},
    409: {
        "content": _PROBLEM,
        "description": "It was judged again already, or is a part of a stored message.",
    },
}
LIMITS_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators set the limits of a firm."}
}
LINKS_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {
        "content": _PROBLEM,
        "description": "Only operators replace what links are signed with.",
    }
}
OPERATORS_ONLY: dict[int | str, dict[str, Any]] = {403: REPLAY_REFUSED[403]}
OPERATORS_SEE: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators see this."},
}
DRY_RUN_REFUSED: dict[int | str, dict[str, Any]] = {
    403: {"content": _PROBLEM, "description": "Only operators see and change figures of rules."},
    409: {"content": _PROBLEM, "description": "One is under way; `dry_run` is how far it is."},
}
