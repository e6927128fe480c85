"""Streamed answers: `AsyncStream` and its subclasses for each kind of stream."""
