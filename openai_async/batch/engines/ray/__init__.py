"""The engine of several processes and machines, on Ray."""
