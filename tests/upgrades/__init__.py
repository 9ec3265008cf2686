"""Every migration, up and down on a large base, while the release before it serves requests."""
