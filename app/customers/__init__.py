"""The customer record: who the customer is, how to reach it, who looks after it; tags, addresses and so on;
who may be the same as whom, and merging.

Announces `CustomerCreated`, `CustomersCreated`, `CustomerChanged`, `CustomersChanged`, `AddressesChanged`,
`CustomerTransferred`, `CustomerDeleted`, `CustomerErased`, `TagReplaced`, `ConsentGiven`, `ConsentWithdrawn`,
`CustomersMerged`, `MergeUndone`. Reacts to its own events only: whoever changed is compared with others anew.
Other packages add their part of a customer's JSON through `document.extend`.
Never decides a class and never stores a fact about what a customer did.
"""
