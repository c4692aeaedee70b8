"""Records through every format and back, as people convert them."""

from dataclasses import replace

import pytest
from tests.data.record_examples import record
from tests.experiments.running import run

from genagent_data import read_records, write_records


@pytest.mark.slow
def test_records_come_back_from_all_formats_as_they_were(tmp_path):
    written = [record(f"r{number}", rounds=number % 3 + 1, words=60) for number in range(5)]
    write_records(tmp_path / "records", written)
    source = "records"
    for to in ("sharegpt", "openai", "datasets", "jsonl"):
        done = run(
            "convert_records.py",
            tmp_path,
            "--data",
            source,
            "--from",
            source,
            "--to",
            to,
            "--out",
            to,
        )
        assert done.returncode == 0, done.stderr
        first, then = done.stdout.splitlines()
        assert first == f"5 records in {to}"
        assert then.startswith("next: ")
        source = to
    assert list(read_records(tmp_path / "jsonl")) == written


def test_what_another_format_cannot_hold_is_one_line_or_counted(tmp_path):
    marked = replace(record().request, id="marked", prompt="an <image>")
    write_records(tmp_path / "records", [record(), replace(record(), request=marked)])
    options = ("--data", "records", "--to", "sharegpt", "--out", "lf")
    done = run("convert_records.py", tmp_path, *options)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: record 'marked': <image> in 'an <image>' would be read")
    assert not (tmp_path / "lf" / "genagent.jsonl").exists()
    done = run("convert_records.py", tmp_path, *options, "--drop")
    assert done.returncode == 0
    first, second, then = done.stdout.splitlines()
    assert first == "1 records in lf"
    assert second.startswith("dropped 1, text; the first: record 'marked': <image> in")
    assert then == "next: llamafactory-cli train lf/genagent.yaml"


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    done = run("convert_records.py", tmp_path, "--data", "none", "--to", "openai", "--out", "out")
    assert (done.returncode, done.stderr) == (
        1,
        "error: none is not there; give --data a folder of records\n",
    )
