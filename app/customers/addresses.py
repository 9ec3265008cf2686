"""Addresses of a customer; one of each kind is the primary."""

from app.customers.events import AddressesChanged
from app.customers.models import customer_address
from app.customers.parts import Part

ADDRESSES = Part(
    customer_address, "address", "addresses:read", "addresses:write", alike=("kind",), announces=AddressesChanged
)
