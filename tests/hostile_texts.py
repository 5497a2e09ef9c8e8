"""Names that harm whoever prints them, or pastes a line in which they are not quoted."""

from __future__ import annotations

TEXTS = {
    "clear": "\x1b[2J\x9b31m",
    "reversed": "\u202ea\u2066b\u200b\ufeff",
    "lines": "a\nfix: touch RAN\r\u2028\x85b",
    "shell": "'; touch RAN; \"; touch RAN; $(touch RAN) `touch RAN` #",
    "python": """'+str(open('RAN','w'))+'"+str(open("RAN","w"))+"\\""",
    "statement": '"}); open("RAN", "w"); ({"',
    "comment": "h\nopen('RAN', 'w')\n",
    "hyphens": "--json",
    "member": "a::b; touch RAN",
    "surrogate": "a\udcff\ud800",
    "nul": "a\0b",
    "html": "<img src=x onerror=alert(1)>",
    "braces": "{x.__class__!r:>9}{0}",
    "long": "x\x1b" * 3_000,
}
