"""What classification announces. Statements write these to the outbox themselves, for however many customers.

- `customer.class_changed` {customer_id, scheme, change_id, from_class, to_class, cause}
- `customer.class_change_pending` {customer_id, scheme, class, to_class, on}: a grace or a waiting period begins
- `customer.class_change_called_off` {customer_id, scheme, class, to_class}: the customer qualifies again
"""

CLASS_CHANGED = "customer.class_changed"
CHANGE_PENDING = "customer.class_change_pending"
CHANGE_CALLED_OFF = "customer.class_change_called_off"
