from ._ext import search


def widen(scores, width):
    return search.beam_widen(scores, width)
