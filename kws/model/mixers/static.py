"""Static-embedding attention: at every depth the weights follow from the embeddings
that the encoder takes in.

    q, k = W_Q e, W_K e        v = W_V x        e = the subsampling's output, before any block

(StaticEmbQK of Xue, Moosavi, Aletras 2025, "Deconstructing Attention", arXiv
2510.11602, with the front-end's output in place of the token's embedding; e passes
through the block's own norm.) In the first block it is SA.
"""

from kws.model.mixers.attention import SelfAttention


class StaticAttention(SelfAttention):
    """Windowed causal attention with queries and keys from the front of the encoder."""

    reads = "front"
