"""The dictionary of a recipe, and the spellings of its keywords."""

from functools import lru_cache

from kws.lexicon import Lexicon, load_cmudict
from kws.lexicon.borders import Spelled
from kws.lexicon.text import phrase_name
from kws.train.recipe import Recipe


def lexicon_of(recipe: Recipe) -> Lexicon:
    """The dictionary with the extra spellings of the recipe."""
    return _lexicon(recipe.task.extra_spellings, recipe.task.keywords)


@lru_cache(maxsize=1)  # a process of a study does many trainings with the same words
def _lexicon(extra_spellings: tuple[tuple[str, str], ...], keywords: tuple[str, ...]) -> Lexicon:
    return load_cmudict().extended(extra_spellings).taught(keywords)


def keyword_spellings(recipe: Recipe, lexicon: Lexicon) -> dict[str, Spelled]:
    """The spellings of each keyword of the recipe with their borders, by its name, in
    the recipe's order.
    """
    return {phrase_name(keyword): lexicon.spell_words(keyword) for keyword in recipe.task.keywords}
