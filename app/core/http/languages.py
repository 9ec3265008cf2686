"""The language of an answer: asked for by name, or by the header that browsers send."""

from typing import Annotated

from fastapi import Depends, Header, Query, Response

from app.core.languages import Language, preferred


def _language(
    response: Response,
    language: Annotated[
        Language | None, Query(description="of the sentences; default: as Accept-Language says")
    ] = None,
    accept_language: Annotated[str | None, Header(max_length=2000)] = None,
) -> Language:
    chosen = language or preferred(accept_language)
    response.headers["content-language"] = chosen
    # A cache that keeps one language's answer must not give it to who asks for another.
    response.headers["vary"] = "Accept-Language"
    return chosen


AskedLanguage = Annotated[Language, Depends(_language)]
