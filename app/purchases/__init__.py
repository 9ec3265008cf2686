"""What customers bought and gave back, with lines, in their own and in the base currency.

Announces `PurchaseRecorded`, `PurchasesRecorded`, `PurchaseDeleted` and `PurchasesImported`.
Reacts to `CustomerDeleted` (deletes its rows).
Owns the exchange rates. Offers the import kind `purchases`.
Never judges what a purchase says about a customer.
"""
