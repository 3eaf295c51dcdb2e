"""What a recipe's words are spelled with."""

from kws.lexicon import Lexicon, Spelling, load_cmudict, phrase_name
from kws.train.recipe import Recipe


def lexicon_of(recipe: Recipe) -> Lexicon:
    """The dictionary with what the recipe adds to it."""
    return load_cmudict().extended(recipe.task.extra_spellings).taught(recipe.task.keywords)


def keyword_spellings(recipe: Recipe, lexicon: Lexicon) -> dict[str, list[Spelling]]:
    """The spellings of each keyword of the recipe, by its name, in the recipe's order."""
    return {phrase_name(keyword): lexicon.spell(keyword) for keyword in recipe.task.keywords}
