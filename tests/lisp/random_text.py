"""Random text that a reader of Lisp takes or refuses."""

from __future__ import annotations

import random


def _words(text: str) -> list[str]:
    return text.split()


_PIECES = _words(
    r"""( ) ( ) ( ) ' #' ; #| |# | \ " . , ` 1. .5 +.5 -.5 1e5 1E5 1f0 1s0 1l0 1d0 1d400 1e39 1/2
    -1/2 1/0 +1/2 1/-2 -0 -0.0 +0 +1 1+ 1- + - 1e 1e+5 1e-5 1.e5 1.5e 00.50 12345678901234567890
    #b101 #xFF #o17 #b-1 #x1/2 #2r101 #36rZZ #\Space #\a #\A #\( #\) #\; #\Newline #\x #\" #(1 #()
    #:foo :key :|Key| ::key keyword:k cl:car |a| |A|b a|b|c \a a\b |a\|b| foo Foo FOO *star* a.b a.
    .a ... .. &key #+sbcl #-sbcl #+(or #+nosuch #+:sbcl #-(and #+(not #1= #1# #c(1 #p"a" #*101 #s(a
    #| #|a|# t nil T NIL () "a\"b" "a\\b" é ñ ß æ İ 1a 1-2 1/2/3 --1 +-1 1.2.3 %a !b ?c ~d @e ^f $g
    {h} [i] <j> a'b a"b" a#b a;b #'(lambda '() `() quote"""
)
_BETWEEN = [" ", " ", " ", " ", "\n", "", "\t", "\r\n"]


def random_text(source: random.Random) -> str:
    """Return a text of several pieces, whose lists are mostly closed."""
    pieces = source.choices(_PIECES, k=source.randint(1, 7))
    text = "".join(piece + source.choice(_BETWEEN) for piece in pieces)
    if source.random() < 0.5:
        text += ")" * (text.count("(") - text.count(")"))
    return text.strip() or "()"
