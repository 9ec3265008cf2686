"""Who may do what: users, roles, permissions, org units, sessions, API keys; the Actor and what it may see.

Owns org_unit, role, user_account, user_role, unit_membership, delegation, auth_session, refresh_token,
external_account, external_session, api_key, login_attempt.
Announces changes of access on the invalidation topic `identity`; reacts to nothing.
Never knows what the permissions of other packages are for: they declare names, it keeps who holds them.
"""
