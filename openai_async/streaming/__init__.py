"""Streamed answers: `AsyncStream`, and what each kind of stream adds to it."""
