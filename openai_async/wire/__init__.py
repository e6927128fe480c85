"""What goes over the wire, without I/O: bytes, events and chunks to objects and exceptions."""
