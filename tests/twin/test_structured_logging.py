"""What the process says of itself."""

import asyncio
import json
import logging
import subprocess
import sys

from twin.structured_logging import JsonLines, TextLines, of_request


def record(message, *values, level=logging.INFO, error=None, **fields):
    made = logging.LogRecord("twin.part", level, "file.py", 1, message, values, error)
    vars(made).update(fields)
    made.created = 1_767_225_600.25  # 2026-01-01T00:00:00.25Z
    return made


def test_a_record_is_one_json_object_with_its_fields():
    line = JsonLines().format(record("site '%s' is\nbehind", "lot", site="lot", lag=12, where={1, 2}.__class__))
    assert "\n" not in line
    told = json.loads(line)
    assert told["time"] == "2026-01-01T00:00:00.250Z"
    assert (told["level"], told["logger"], told["message"]) == ("INFO", "twin.part", "site 'lot' is\nbehind")
    assert (told["site"], told["lag"]) == ("lot", 12)
    assert told["where"] == "<class 'set'>"  # no form in JSON: told as text, never an error


def test_what_broke_is_told_with_where():
    try:
        raise KeyError("a fault")
    except KeyError:
        told = json.loads(JsonLines().format(record("it broke", error=sys.exc_info())))
    assert "KeyError: 'a fault'" in told["traceback"]


def test_text_has_the_same_fields_behind_the_message():
    assert TextLines().format(record("behind", site="lot", lag=12)) == (
        "2026-01-01T00:00:00.250Z INFO twin.part: behind site=lot lag=12"
    )


def test_what_comes_from_outside_begins_no_line_and_sends_no_codes_to_a_terminal():
    forged = "/x\r\n2026-01-01T00:00:00.000Z ERROR twin: all is lost\x1b[2J\x9b1m\u2028\u202e\x7f\0"
    line = TextLines().format(record("asked for %s", forged, path=forged))
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert line.count("\\r\\n2026-01-01T00:00:00.000Z ERROR") == 2
    assert line.endswith(r'\x1b[2J\x9b1m\u2028\u202e\x7f\x00"')


def test_what_comes_from_outside_passes_for_no_other_field():
    line = TextLines().format(record("answered", path='/x status=200 by="me"', status=404))
    assert line.endswith(r' path="/x status=200 by=\"me\"" status=404')


def test_no_line_of_a_traceback_passes_for_a_record():
    try:
        raise KeyError("a fault") from ValueError("a\n2026-01-01T00:00:00.000Z ERROR twin: all is lost\x1b[2J")
    except KeyError:
        first, *others = TextLines().format(record("it broke", error=sys.exc_info())).split("\n")
    assert first.endswith("it broke")
    assert len(others) > 4
    assert all(one.startswith("    ") and one.isprintable() for one in others)


def test_the_servers_coloured_form_of_a_message_is_left_out():
    assert TextLines().format(record("Started", color_message="\x1b[36mStarted")).endswith("twin.part: Started")
    assert "color_message" not in json.loads(JsonLines().format(record("Started", color_message="\x1b[36mStarted")))


async def test_requests_that_run_side_by_side_keep_their_own_ids():
    told = {}

    async def answer(name):
        with of_request(name):
            await asyncio.sleep(0)
            told[name] = json.loads(JsonLines().format(record("answered")))["request"]

    await asyncio.gather(*(answer(name) for name in "abc"))
    assert told == {"a": "a", "b": "b", "c": "c"}
    assert "request" not in json.loads(JsonLines().format(record("afterwards")))


def test_libraries_that_tell_of_every_request_are_quiet_below_warning():
    program = (
        "import logging; from twin.structured_logging import set_up_logging; set_up_logging('INFO', 'json');"
        "logging.getLogger('httpx2').info('noise'); logging.getLogger('twin.part').info('heard');"
        "logging.getLogger('httpx2').warning('trouble')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == ["heard", "trouble"]
