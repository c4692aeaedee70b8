# What a contributor runs again and again; `just` alone lists it. It is not a dependency: recipes are
# commands of uv that can be typed as they stand, and `uvx --from rust-just just quick` brings just along.
# What has the last word is .ci/run.

_:
    @just --list --unsorted

# the fast tests, in under a minute: what is decided without a model, a server, a second process or a folder of records
quick:
    uv run pytest -q -m "not slow" --hypothesis-profile=quick tests/data tests/rewards tests/worlds tests/kernels/test_reference.py --ignore-glob="*/test_synthesis_*" --ignore-glob="*/test_pool.py" --ignore-glob="*_files.py" --ignore-glob="*/test_hf_*" --ignore-glob="*chat*" --ignore-glob="*cache.py"

# all tests
test:
    uv run pytest

# lint, format, types, import directions
check:
    uv run ruff check && uv run ruff format --check && uv run pyright && uv run lint-imports

# the fused GRPO loss beside what else computes it; more are in benchmarks/
bench:
    uv run benchmarks/grpo_loss.py --rows 512

# the documentation as a site, at http://127.0.0.1:8000
docs:
    uv run --group docs mkdocs serve
