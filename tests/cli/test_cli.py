"""The `kws` command: what it says, how it ends, and what it does not import."""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import types

import pytest

import kws
from kws.cli.data import _ACTIONS as DATA_ACTIONS
from kws.cli.main import VERBS, Verb, main, verb_parser
from kws.errors import KwsError
from kws.train.recipes.shipped import shipped_recipes


def run_kws(*words: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "kws", *words], capture_output=True, text=True, **options)


@pytest.fixture
def verb(monkeypatch):
    """A verb called "pretend" whose `run` is what the test gives it."""

    def install(run) -> None:
        module = types.ModuleType("kws.cli.pretend")
        module.configure = lambda parser: parser.add_argument("--number", type=int)
        module.run = run
        monkeypatch.setitem(sys.modules, "kws.cli.pretend", module)
        monkeypatch.setitem(VERBS, "pretend", Verb("only for this test", "train"))

    return install


def raising(error: BaseException):
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_help_lists_every_verb():
    ran = run_kws("--help")
    assert ran.returncode == 0
    assert ran.stderr == ""
    for name, verb in VERBS.items():
        assert re.search(rf"^  {name} +{re.escape(verb.help)}$", ran.stdout, re.MULTILINE)


def test_version():
    ran = run_kws("--version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"kws {kws.__version__}\n", "")


def test_the_server_tells_its_version_as_wyoming_openwakeword_does(capsys):
    assert main(["serve", "--version"]) == 0
    assert capsys.readouterr().out == f"kws {kws.__version__}\n"


def test_nothing_at_all_is_a_usage_error(capsys):
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage: kws VERB" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["detct", "a.wav"], "there is no verb 'detct': the nearest is 'detect'"),
        (["benhc"], "there is no verb 'benhc': the nearest is 'bench'"),
        (["xyzzy"], f"there is no verb 'xyzzy': there are {', '.join(VERBS)}"),
        (["--json", "--fast"], "a verb is missing before --json --fast"),
    ],
)
def test_a_verb_that_does_not_exist(words, sentence, capsys):
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith(f"kws: error: {sentence}\n")


@pytest.mark.parametrize("words", ["--help", "--version", "no-such-verb"])
def test_starting_up_imports_nothing_heavy(words):
    """By what is loaded and not by time, which depends on the machine."""
    script = "import sys; from kws.cli.main import main; main(sys.argv[1:]); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script, words], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert {name for name in loaded if name.startswith("kws")} == {
        "kws", "kws.cli", "kws.cli.main", "kws.cli.stopping", "kws.cli.terminal", "kws.controls", "kws.errors"
    }  # fmt: skip
    assert loaded.isdisjoint({"numpy", "onnxruntime", "torch", "soundfile", "rich", "importlib.metadata", "inspect"})


HEAVY = {"torch", "onnxruntime", "scipy", "matplotlib", "pytorch_lightning", "onnx", "rich", "sounddevice"}
HEAVY |= {"numpy", "soundfile", "soxr", "av", "distributed", "wyoming", "tqdm"}
LOADED = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from kws.cli.main import main

for words in json.loads(sys.argv[1]):
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        code = main(words)
    print(json.dumps([words, code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_help_and_usage_errors_import_nothing_heavy():
    """By what is loaded and not by time, which depends on the machine (0.2 s where torch alone takes 3). A recipe's
    own options come after all others: the recipe is a value, and its types bring numpy.
    """
    parts = [[verb] for verb in VERBS] + [["data", action] for action in DATA_ACTIONS]
    asked = [[*part, word] for part in parts for word in ("--help", "--no-such-option")]
    asked += [["train", recipe, "--help"] for recipe in shipped_recipes()]
    ran = subprocess.run([sys.executable, "-c", LOADED, json.dumps(asked)], capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [words for words, _, _ in told] == asked
    for words, code, loaded in told:
        usual = {"numpy"} if words[0] == "train" and len(words) == 3 else set()
        assert (HEAVY - usual).isdisjoint(loaded), words
        assert code == (0 if words[-1] == "--help" else 2), words


def test_the_public_names_are_loaded_when_first_asked_for():
    script = (
        "import sys, kws\n"
        "assert 'numpy' not in sys.modules\n"
        "assert set(kws._HOMES) | {'__version__'} == set(kws.__all__) <= set(dir(kws))\n"
        "from kws import Detection, Detector, KwsError, Stream\n"
        "assert (Detector.__module__, Stream.__module__) == ('kws.runtime.detector', 'kws.runtime.stream')\n"
        "from kws import InputError, Streams, listen, spell\n"
        "assert (listen.__module__, spell.__module__) == ('kws.demo.live', 'kws.lexicon')\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="module 'kws' has no attribute 'Detektor'"):
        _ = kws.Detektor


@pytest.mark.parametrize("name", sorted({*kws._HOMES} - {"Recipe", "verify_streaming"}))
def test_a_public_name_is_there(name):
    assert getattr(kws, name).__name__ == name


def test_the_public_names_of_training():
    pytest.importorskip("torch")
    pytest.importorskip("kws.model.contract")
    assert kws.Recipe.__name__ == "Recipe" and callable(kws.verify_streaming)


@pytest.mark.parametrize("name", [*VERBS, *(f"data {action}" for action in DATA_ACTIONS), ""])
def test_help_is_as_wide_as_a_terminal(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*name.split(), "--help"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], "wake-words"),
        (["phones"], "phones"),
        (["-m", "phones"], "phones"),
        (["--json", "--model", "phones"], "phones"),
    ],
)
def test_a_model_is_the_first_word_or_behind_m(words, wanted, capsys):
    assert main(["info", *words]) == 0
    assert wanted in capsys.readouterr().out.partition("\n")[0] + wanted * ("--json" in words)


@pytest.mark.parametrize("words", ["info", "bench", "listen", "calibrate --fa-per-hour 1 --negatives a", "score"])
def test_a_model_that_is_named_twice_is_a_usage_error(words, capsys):
    assert main([*words.split(), "-m", "wake-words", "--", "phones"]) == 2
    assert "the model is named twice" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["serve", "web"])
def test_models_are_words_or_behind_m(verb):
    parser = verb_parser(verb)
    output = ["-o", "site"] if verb == "web" else []
    assert parser.parse_intermixed_args(["a.onnx", "-m", "b.onnx", *output]).models == ["b.onnx", "a.onnx"]
    assert parser.parse_intermixed_args(output).models == ()


@pytest.mark.parametrize("name", VERBS)
def test_each_verb_explains_itself_with_examples(name, capsys):
    assert main([name, "--help"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"usage: kws {name}")
    assert re.search(rf"^examples?:\n +kws {name}\b", said.out, re.MULTILINE)


@pytest.mark.parametrize("name", VERBS)
def test_the_examples_of_each_verb_parse(name):
    parser = verb_parser(name)
    lines = re.findall(rf"^ +kws {name}\b(.*)$", parser.epilog or "", re.MULTILINE)
    assert lines
    for line in lines:
        parser.parse_args(shlex.split(line, comments=True))


def test_help_asks_for_no_colours():
    """Python 3.14 gives them, and the streams would show them as escapes."""
    (words,) = (action for action in verb_parser("data")._actions if isinstance(action, argparse._SubParsersAction))
    assert all(parser.color is False for parser in [verb_parser("info"), *words.choices.values()])


@pytest.mark.parametrize("name", VERBS)
def test_an_unknown_option_is_a_usage_error(name, capsys):
    assert main([name, "--no-such-option"]) == 2
    assert capsys.readouterr().err.startswith(f"usage: kws {name}")


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_exit_code_is_the_verbs(verb, code):
    verb(lambda args: code)
    assert main(["pretend", "--number", "3"]) == code


def test_options_are_never_abbreviated(verb, capsys):
    verb(lambda args: 0)
    assert main(["pretend", "--num", "3"]) == 2


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (KwsError("a.wav is not audio"), "a.wav is not audio"),
        (FileNotFoundError(2, "No such file or directory", "x/y.csv"), "x/y.csv: No such file or directory"),
        (
            ModuleNotFoundError("no", name="torch.nn"),
            "`kws pretend` needs the package torch: pip install '.[train]' in the folder of kws",
        ),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(verb, error, sentence, capsys):
    verb(raising(error))
    assert main(["pretend"]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"kws: {sentence}\n")


@pytest.mark.parametrize("error", [ValueError("a bug"), ModuleNotFoundError("no", name="kws.nothing"), OSError("bug")])
def test_a_fault_of_ours_is_not_hidden(verb, error):
    verb(raising(error))
    before = sys.stdout, sys.stderr
    with pytest.raises(type(error)):
        main(["pretend"])
    assert (sys.stdout, sys.stderr) == before  # Python may colour a traceback, and ours would escape that


def test_a_verb_whose_module_misses_a_package(monkeypatch, capsys):
    def missing(name: str) -> types.ModuleType:
        raise ModuleNotFoundError("no", name="no_such_package")

    monkeypatch.setitem(VERBS, "pretend", Verb("", "train"))
    monkeypatch.setattr("kws.cli.main.import_module", missing)
    assert main(["pretend", "--help"]) == 1
    sentence = "kws: `kws pretend` needs the package no_such_package: pip install '.[train]' in the folder of kws\n"
    assert capsys.readouterr().err == sentence


def test_control_c(verb, capsys):
    verb(raising(KeyboardInterrupt()))
    assert main(["pretend"]) == 130
    assert capsys.readouterr().err == "\nkws: interrupted\n"


def test_a_reader_that_stops_reading_is_no_error():
    """With -E, so that an environment that asks for unbuffered output changes nothing here."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        ran = subprocess.run(
            [sys.executable, "-E", "-m", "kws", "--help"], stdout=nobody, stderr=subprocess.PIPE, text=True
        )
    assert (ran.returncode, ran.stderr) == (141, "")
