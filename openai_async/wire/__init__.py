"""The wire format, without I/O: bytes, events and chunks to objects and exceptions."""
