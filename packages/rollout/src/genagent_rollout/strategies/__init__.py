"""Ways to answer a request for a picture, one a file; public from ``genagent_rollout``."""
