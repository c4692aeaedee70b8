"""Benchmarks of text-to-image generation, one file each: questions, parsing, figures."""
