"""`kws classify`: accuracy on clips of single words, a folder per class."""

from __future__ import annotations

import argparse

from kws.cli.options import add_json_option, add_model_and_files_arguments, log_to_stderr, model_and_files
from kws.errors import KwsError

_DEFAULT = "speech-commands"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Classify clips of single words and count how many are right. DIR holds a folder per class, named by its word; "
        "_silence_ and _unknown_ are silence and any other word, as in the test set of Speech Commands."
    )
    parser.epilog = (
        "examples:\n"
        "  kws classify speech-commands speech_commands_test_set_v0.02\n"
        "  kws classify speech-commands speech_commands@dev noise@dev --task 12\n"
        "  kws classify phones DIR --rivals bed bird cat dog --json"
    )
    clips = "folders with a folder of clips per class, or MANIFEST[@SPLIT]"
    add_model_and_files_arguments(parser, "DIR", clips, _DEFAULT)
    parser.add_argument(
        "--task", type=int, choices=(12, 35), help="classes of Speech Commands that the rows of a manifest belong to"
    )
    parser.add_argument(
        "--rivals",
        nargs="+",
        metavar="WORD",
        help="what _unknown_ may say (default: the model's keywords, of a model without any those of Speech Commands)",
    )
    add_json_option(parser, "print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Prints accuracy and confusions."""
    from kws.evaluate.count.classify import Classification, confusion_of, find_clips, spell_classes
    from kws.runtime.classifier import Classifier
    from kws.runtime.detector import Detector

    model, folders = model_and_files(args)
    model = model or _DEFAULT
    skipped: list[str] = []
    clips = find_clips(folders, args.task, skipped)
    detector = Detector.load(model)
    classifier = Classifier(detector, spell_classes(detector, list(clips), args.rivals))
    confusion = confusion_of(classifier, clips, skipped)
    for line in skipped:
        log_to_stderr(f"skipped: {line}")
    result = Classification.of(confusion, len(skipped))
    if not result.total:
        raise KwsError(f"none of the {len(skipped)} clips could be read: {skipped[0]}")
    print(result.to_json() if args.json else result)
    return 0
