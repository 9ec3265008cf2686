"""The HTTP edge: routes that are one transaction, problems, limits, paging and entity tags."""
