"""Random forms that give numbers; most of them do."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs


def _words(text: str) -> list[str]:
    return text.split()


NUMBERS = _words(
    "0 1 2 3 -1 -2 7 -7 10 100 1/2 -7/2 5/2 7/3 -1/3 0.0 1.0 0.5 2.5 -2.5 3.5 -0.1 1e-5 1e10 1d0 "
    "-0.5d0 2.5d0 1d-5 0.1d0 0.1 16 4 9 1000000007 -9 12 18 1e30 1d300 3.0 4.0 64 8"
)
_INTEGERS = _words("0 1 2 3 -1 -2 7 -7 10 100 16 4 9 12 18 5 6 -5")


@attrs.define
class Numbers:
    """A source of random forms that give numbers; it keeps the variables in scope."""

    random: random.Random
    numbers: list[str] = attrs.field(factory=list)
    lists: list[str] = attrs.field(factory=list)
    _count: int = 0

    def _one(self, *choices: Callable[[int], str]) -> Callable[[int], str]:
        return self.random.choice(choices)

    def _pick(self, text: str) -> str:
        return self.random.choice(text.split())

    def _fresh(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def integer(self, depth: int) -> str:
        """Return a form that gives an integer, or mostly does."""
        if depth <= 0:
            return self.random.choice([*_INTEGERS, *self.numbers[:1]])
        i, n, items = self.integer, self.number, self.any_list
        d = depth - 1
        return self._one(
            lambda _: f"({self._pick('+ * - max min gcd lcm')} {i(d)} {i(d)})",
            lambda _: f"({self._pick('floor ceiling round truncate')} {n(d)} {n(d)})",
            lambda _: f"({self._pick('floor ceiling round truncate')} {n(d)})",
            lambda _: f"({self._pick('mod rem')} {i(d)} {i(d)})",
            lambda _: f"(ash {i(d)} {self.random.randint(-4, 6)})",
            lambda _: f"(isqrt {i(d)})",
            lambda _: f"(length {items(d)})",
            lambda _: f"({self._pick('numerator denominator')} {n(d)})",
            lambda _: f"(expt {i(d)} {self.random.randint(0, 5)})",
        )(d)

    def number(self, depth: int) -> str:
        """Return a form that gives a number, or mostly does."""
        if depth <= 0:
            return self.random.choice([*NUMBERS, *self.numbers * 8])
        n, d = self.number, depth - 1
        return self._one(
            lambda _: f"({self._pick('+ - * / max min')} {n(d)} {n(d)})",
            lambda _: f"({self._pick('+ - * / max min')} {n(d)} {n(d)} {n(d)})",
            lambda _: f"({self._pick('- / + * abs signum 1+ 1- max min')} {n(d)})",
            lambda _: f"({self._pick('sqrt exp log sin cos tan tanh')} {n(d)})",
            lambda _: f"({self._pick('mod rem floor ceiling round truncate')} {n(d)} {n(d)})",
            lambda _: f"(expt {n(d)} {self.random.choice([n(d), self.integer(d)])})",
            lambda _: f"(log {n(d)} {n(d)})",
            lambda _: f"(float {n(d)})",
            lambda _: f"(float {n(d)} {self._pick('1.0 1d0')})",
            lambda _: f"(coerce {n(d)} '{self._pick('float single-float double-float')})",
            lambda _: self.integer(depth),
            lambda _: f"(if {self.truth(d)} {n(d)} {n(d)})",
            lambda _: self.let(depth, n),
            lambda _: f"(reduce #'{self._pick('+ * - max min')} {self.numbers_list(d)})",
            lambda _: f"(nth {self.integer(0)} {self.numbers_list(d)})",
            lambda _: self.called(depth),
            lambda _: f"(apply #'{self._pick('+ * max min -')} {self.numbers_list(d)})",
            lambda _: f"(case {n(d)} (1 {n(d)}) ((2 3 1/2) {n(d)}) (otherwise {n(d)}))",
            lambda _: f"(nth-value {self.random.randint(0, 2)} (floor {n(d)} {n(d)}))",
        )(d)

    def let(self, depth: int, body: Callable[[int], str]) -> str:
        """Return a form that binds variables around another."""
        names, held = [self._fresh() for _ in range(self.random.randint(1, 3))], len(self.numbers)
        kind = self._pick("let let*")
        bound = []
        for name in names:
            bound.append(f"({name} {self.number(depth - 1)})")
            if kind == "let*":
                self.numbers.append(name)
        if kind == "let":
            self.numbers += names
        steps = " ".join(self.change(names) for _ in range(self.random.randint(0, 2)))
        text = f"({kind} ({' '.join(bound)}) {steps} {body(depth - 1)})"
        del self.numbers[held:]
        return text

    def change(self, names: list[str]) -> str:
        """Return a form that sets a variable."""
        name = self.random.choice(names)
        return self.random.choice(
            [
                f"(incf {name})",
                f"(decf {name} {self.number(0)})",
                f"(setf {name} {self.number(1)})",
                f"(setq {name} {self.number(1)} {self.random.choice(names)} {self.number(0)})",
                f"(dotimes (i 3) (incf {name} i))",
                f"(dolist (x {self.numbers_list(1)}) (setf {name} (+ {name} x)))",
            ]
        )

    def called(self, depth: int) -> str:
        """Return a call of a local function, a closure or a lambda."""
        n, d, held = self.number, depth - 1, len(self.numbers)
        a, b = self._fresh(), self._fresh()
        one, two, three = n(d), n(d), n(0)
        self.numbers += [a, b]
        body = n(d)
        del self.numbers[held:]
        lists = [
            (f"{a} {b}", f"{one} {two}"),
            (f"{a} &optional ({b} {three})", one),
            (f"{a} &optional ({b} {a})", f"{one} {two}"),
            (f"{a} &key ({b} (* 2 {a}))", f"{one} :{b} {two}"),
            (f"{a} &key ({b} 3)", one),
            (f"{a} &rest r &aux ({b} (length r))", f"{one} {two} {three}"),
            (f"&optional ({a} 2) ({b} 1 s)", one),
        ]
        arguments, given = self.random.choice(lists)
        return self.random.choice(
            [
                f"((lambda ({arguments}) {body}) {given})",
                f"(funcall (lambda ({arguments}) {body}) {given})",
                f"(flet ((f ({arguments}) {body})) (f {given}))",
                f"(labels ((f ({arguments}) {body}) (g (x) (f {given}))) (g 1))",
                f"(let ((f (let (({a} {one})) (lambda ({b}) (incf {a} {b}) {body})))) "
                f"(funcall f {two}) (funcall f {three}))",
                f"(block out (let (({a} {one}) ({b} {two})) (when (> {a} {b}) "
                f"(return-from out {body})) {three}))",
                f"(labels ((down ({a} {b}) (if (<= {a} 0) {b} (down (1- {a}) (+ {a} {b}))))) "
                f"(down {self.integer(0)} {three}))",
            ]
        )

    def numbers_list(self, depth: int) -> str:
        """Return a form that gives a list of numbers."""
        n, d = self.number, depth - 1
        some = " ".join(n(max(d, 0)) for _ in range(self.random.randint(0, 4)))
        plain = " ".join(self.number(0) for _ in range(self.random.randint(1, 4)))
        if depth <= 0 or self.numbers:
            return f"(list {some})"
        return self.random.choice(
            [
                f"(list {some})",
                f"'({plain})",
                f"(mapcar #'{self._pick('1+ abs - float')} {self.numbers_list(d)})",
                (
                    f"(mapcar #'{self._pick('+ - * max')} {self.numbers_list(d)} "
                    f"{self.numbers_list(d)})"
                ),
                f"(mapcar (lambda (x) {n(0)}) {self.numbers_list(d)})",
                f"(sort (list {plain}) #'{self._pick('< >')})",
                f"`(1 ,{n(d)} ,@{self.numbers_list(d)} 2)",
            ]
        )

    def any_list(self, depth: int) -> str:
        """Return a form that gives a list."""
        return self.random.choice(["nil", "'(1 2 3)", *self.lists])

    def truth(self, depth: int) -> str:
        """Return a form that gives t or nil."""
        return self._pick("t nil")
