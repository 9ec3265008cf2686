"""Phone numbers, e-mail addresses and identities in one spelling each. Pure."""

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from app.core.bounds import printable


def normal_phone(value: str, region: str) -> str:
    """E.164, such as +8613812341234; ValueError when it cannot be a number. `region` reads national numbers."""
    try:
        number = phonenumbers.parse(printable(value), region)
    except phonenumbers.NumberParseException as error:
        raise ValueError("not a phone number; write it as +8613812341234") from error
    if not phonenumbers.is_possible_number(number):
        raise ValueError("not a possible phone number; write it as +8613812341234")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normal_email(value: str) -> str:
    """The address with its domain in lower case; ValueError when it is none. Nothing is looked up."""
    try:
        return validate_email(printable(value), check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise ValueError(f"not an e-mail address: {error}") from error


def normal_identity(kind: str, value: str, region: str) -> str:
    """An identity's value in the spelling by which it is unique."""
    if kind == "phone":
        return normal_phone(value, region)
    if kind == "email":
        return normal_email(value).lower()
    return value.strip()
