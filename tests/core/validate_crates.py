"""Validates crates with roc-validator, without network; started as a process by the tests.

``python validate_crates.py FOLDER…`` prints a JSON object: for each folder the issues found.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import requests
from rocrate_validator import models, services
from rocrate_validator.utils import http

CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.jsonld",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.jsonld",
}


def serve(_self: object, url: str, *_args: object, **_options: object) -> requests.Response:
    """In place of the network; anything else that is asked for is an error."""
    text = (Path(__file__).with_name("contexts") / CONTEXTS[url]).read_text("utf-8")
    answer = requests.Response()
    answer.status_code, answer.url, answer.encoding = 200, url, "utf-8"
    answer.headers["Content-Type"] = "application/ld+json"
    answer._content = text.encode()
    return answer


def issues(folder: str, profile: str) -> list[str]:
    """What a crate lacks of what the profile requires."""
    settings = services.ValidationSettings(
        rocrate_uri=folder,
        profile_identifier=profile,
        requirement_severity=models.Severity.REQUIRED,
        abort_on_first=False,
    )
    result = services.validate(settings)
    return [f"{one.check.identifier}: {one.message}" for one in result.get_issues()]


def main() -> None:
    """Print what was found."""
    http.HttpRequester.get = serve
    http.HttpRequester.head = serve
    # The profile's checks include those of RO-Crate 1.1 itself.
    found = {folder: issues(folder, "process-run-crate-0.5") for folder in sys.argv[1:]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
