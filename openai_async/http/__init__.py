"""HTTP through aiohttp: one attempt of a request, its pooled connection, its timeouts.

Nothing here knows the API. Undocumented parts of aiohttp are used in `aiohttp_internals` only.
"""
