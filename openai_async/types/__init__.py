"""What goes over the wire, one file per API: answers are attrs classes, parameters TypedDicts."""
