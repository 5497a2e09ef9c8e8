"""Random loops; most of them have a value."""

from __future__ import annotations

import random

import attrs

_NUMBERS = ["0", "1", "3", "-2", "5/2", "2.5", "-0.1", "1d-5", "10", "64"]
_LISTS = ["nil", "'(1 2 3)", "'(a b a)", "(list 1 2)", "(reverse '(1 2 nil))", "(vector 1 2)"]


@attrs.define
class Loops:
    """A source of random loops."""

    random: random.Random

    def _pick(self, text: str) -> str:
        return self.random.choice(text.split())

    def loop(self) -> str:
        """Return a loop with clauses of all kinds."""
        r = self.random
        named = r.choice(["", "", "", "named out "])
        heads = [self.head(name) for name in ("i", "j")[: r.randint(1, 2)]]
        if r.random() < 0.2:
            heads.append(f"with w = {r.choice(_NUMBERS)}")
        if r.random() < 0.1:
            heads.append("for k = 0 then (1+ k)")
        if r.random() < 0.1:
            heads.insert(0, f"with u = 1 and z = {r.choice(_NUMBERS)}")
        limit = r.choice(
            ["repeat 5", "repeat 3", "while (< n 4)", "until (> n 3)", "repeat 4 while t"]
        )
        gather = [self.gather() for _ in range(r.randint(1, 2))]
        ends = r.choice(
            [
                "",
                "",
                "",
                "finally (return (list i acc))",
                "finally (push i acc)",
                "finally (return acc)",
                "finally (setf n 9)",
            ]
        )
        first = r.choice(["", "", "initially (push 'first acc)", "initially (setf n 2)"])
        heads.append("for n from 0") if limit[0] != "r" else heads.append("for n below 9")
        between = " ".join(heads)
        body = f"loop {named}{between} {limit} {first} {' '.join(gather)} {ends}"
        if named and r.random() < 0.5:
            body += " do (when (> n 2) (return-from out (list 'left n)))"
        return f"(let ((acc nil)) (list ({body}) (reverse acc)))"

    def head(self, name: str) -> str:
        r = self.random
        by = r.choice(["", " by #'cddr"])
        step = r.choice(["", " by 2", " by 3", " by 1/2", " by 0.5"])
        number = lambda: r.choice(["0", "1", "3", "5", "2.5", "1/2", "10", "-2"])  # noqa: E731
        vector = r.choice(["(vector 1 2 3)", "#(4 5)", '"abc"'])
        start = r.choice(["", f"from {number()} ", f"upfrom {number()} "])
        return r.choice(
            [
                f"for {name} {start}{self._pick('to below upto')} {number()}{step}",
                f"for {name} from {number()}{step}",
                (
                    f"for {name} {self._pick('from downfrom')} {number()} "
                    f"{self._pick('downto above')} {number()}{step}"
                ),
                f"for {name} downfrom {number()}{r.choice(['', ' by 2', ' to 1'])}",
                f"for {name} from {number()} by 2 to 9",
                f"for {name} by 2 from 1 below 8",
                f"for {name} in '(1 2 3 4){by}",
                f"for {name} in {r.choice(_LISTS)}",
                f"for {name} on '(1 2 3){by}",
                f"for {name} on '(1 2 . 3)",
                f"for {name} across {vector}",
                f"for {name} = {number()} then (+ {name} 1)",
                f"for {name} = {number()}",
                f"for ({name} q{name}) in '((1 2) (3 4) (5))",
                f"for ({name} . q{name}) in '((1 . 2) (3 4) (5))",
                f"for ({name} nil q{name}) in '((1 2 3) (3 4 5))",
                f"for ({name} q{name}) on '(1 2 3 4){by}",
                f"for ({name} (q{name})) = (list {number()} (list 2))",
                f"for {name} from 1 to 3 and b{name} = 0 then {name}",
                f"for {name} in '(1 2 3) and b{name} from 10",
                f"for {name} fixnum from 1 to 3",
                f"for {name} of-type fixnum below 3",
            ]
        )

    def gather(self, deep: bool = True) -> str:
        r = self.random
        value = r.choice(["i", "n", "(list i n)", "(* n n)", "1"])
        number = r.choice(["n", "(* n n)", "(- n)", "1/2", "0.5"])
        answers = ["(< n 2)", "(and (> n 1) n)", "i", "nil", "t"]
        simple = [
            f"{self._pick('collect collecting')} {value}",
            f"append (list {value})",
            f"nconc (list {value})",
            f"append {r.choice(_LISTS)}",
            f"{self._pick('sum summing')} {number}",
            f"count {r.choice(['(evenp n)', 'i', 'nil'])}",
            f"{self._pick('maximize minimize')} {number}",
            f"collect {value} into c",
            f"sum {number} into s",
            f"maximize {number} into m do (push m acc)",
            f"do (push {value} acc)",
            "do (push n acc) (push 'x acc)",
            f"{self._pick('while until')} {r.choice(['(< n 2)', '(> n 1)', 'i'])}",
            f"{self._pick('always never thereis')} {r.choice(answers)}",
            f"return {value}",
        ]
        if not deep or r.random() < 0.7:
            return r.choice(simple)
        test = r.choice(["(evenp n)", "(> n 1)", "nil", "t"])
        chosen = f"{self._pick('when if unless')} {test} {self.gather(deep=False)}"
        if r.random() < 0.3:
            chosen += f" and {self.gather(deep=False)}"
        if r.random() < 0.4:
            chosen += f" else {self.gather(deep=False)}"
        return chosen + r.choice(["", "", " end"])
