"""The miniature: a world of simple scenes with an exact verifier, and tiny real models trained in it."""
