"""The clients that generators make of the API document, each used by an example program against the running service."""
