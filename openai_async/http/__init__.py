"""HTTP through aiohttp: one attempt of a request, its connection from the pool, its time limits.

Nothing here knows the API. What lies below aiohttp's documented surface is in `aiohttp_internals`.
"""
