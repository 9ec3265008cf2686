"""The operations of the API document, each with an example that is right."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.http.docs import document
from app.main import create_app

DOCUMENT: dict[str, Any] = document(
    create_app(url="postgresql://nowhere", secret="a secret that only the tests know, long enough")
)
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    name: str
    method: str
    path: str
    spec: dict[str, Any]

    @property
    def path_names(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def media_type(self) -> str | None:
        return next(iter(self.spec["requestBody"]["content"])) if "requestBody" in self.spec else None

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of the body."""
        content = self.spec["requestBody"]["content"][self.media_type]
        found: dict[str, Any] = SCHEMAS[content["schema"]["$ref"].rsplit("/", 1)[-1]]
        return found

    @property
    def example(self) -> dict[str, Any]:
        """The example of the body."""
        found: dict[str, Any] = self.schema["examples"][0]
        return found

    @property
    def is_public(self) -> bool:
        return not self.spec.get("security")

    def at(self, **values: str) -> str:
        """The path with its parameters filled in."""
        path = self.path
        for name in self.path_names:
            path = path.replace(f"{{{name}}}", values[name])
        return path

    def options(self, **changes: Any) -> dict[str, Any]:
        """What `Service.send` needs for the body: the example, with some of its fields changed."""
        match self.media_type:
            case None:
                return {}
            case "application/json":
                return {"body": {**self.example, **changes}}
            case "multipart/form-data":
                return form({name: str(value).encode() for name, value in {**self.example, **changes}.items()})
            case kind:
                content = "&".join(f"{name}={value}" for name, value in {**self.example, **changes}.items())
                return {"content": content.encode(), "headers": {"Content-Type": kind}}


OPERATIONS = {
    spec["operationId"]: Operation(spec["operationId"], method.upper(), path, spec)
    for path, item in DOCUMENT["paths"].items()
    for method, spec in item.items()
}


def form(fields: Mapping[str, bytes], boundary: bytes = b"strata-boundary") -> dict[str, Any]:
    """A multipart form as `Service.send` takes it; the field `file` is a file."""
    parts = b""
    for name, value in fields.items():
        file = b'; filename="a.csv"\r\nContent-Type: text/csv' if name == "file" else b""
        parts += b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n' % (boundary, name.encode(), file)
        parts += value + b"\r\n"
    kind = b"multipart/form-data; boundary=" + boundary
    return {"content": parts + b"--" + boundary + b"--\r\n", "headers": {"Content-Type": kind}}
