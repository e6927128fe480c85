"""The engine that runs on several processes and machines, with Ray."""
