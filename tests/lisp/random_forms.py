"""Random forms of the language that slots are written in; most of them have a value."""

from __future__ import annotations

import random

import attrs

from tests.lisp.random_loops import Loops
from tests.lisp.random_numbers import NUMBERS, Numbers

_TESTS = "numberp null atom consp symbolp"
_TYPES = "null not listp consp atom symbolp keywordp stringp numberp functionp"
_ATOMS = ("a", "b", ":k", "nil", "t", "1", "1.0", "2", '"ab"', "#\\a")


@attrs.define
class Forms(Numbers):
    """A source of random forms."""

    def form(self) -> str:
        return self._one(
            self.number, self.number, self.any_list, self.truth, self.loop, self.several
        )(self.random.randint(1, 4))

    def atom(self) -> str:
        return self.random.choice([*_ATOMS, *NUMBERS[:12]])

    def datum(self, depth: int) -> str:
        """Return a datum for a quote."""
        if depth <= 0:
            return self.atom()
        items = " ".join(self.datum(depth - 1) for _ in range(self.random.randint(0, 4)))
        if items and self.random.random() < 0.15:
            return f"({items} . {self.datum(depth - 1)})"
        return f"({items})"

    def item(self, depth: int) -> str:
        return self.random.choice(
            [self.number(0), f"'{self.datum(depth - 1)}", self.any_list(depth - 1)]
        )

    def any_list(self, depth: int) -> str:
        """Return a form that gives a list, or mostly does."""
        if depth <= 0:
            return self.random.choice(["nil", "'(1 2 3)", "'(a b a)", "(list 1 2)", *self.lists])
        a, d, i = self.any_list, depth - 1, self.item
        index = self.random.randint(0, 4)
        return self._one(
            lambda _: f"'{self.datum(depth)}",
            lambda _: f"(list {i(d)} {i(d)})",
            lambda _: f"(cons {i(d)} {self.random.choice([a(d), i(d)])})",
            lambda _: f"(list* {i(d)} {i(d)} {self.random.choice([a(d), i(d)])})",
            lambda _: f"(append {a(d)} {a(d)})",
            lambda _: f"(append {a(d)} {i(d)})",
            lambda _: (
                f"({self._pick('reverse cdr butlast last rest copy-list nreverse cddr')} {a(d)})"
            ),
            lambda _: f"({self._pick('butlast last')} {a(d)} {index})",
            lambda _: f"(nthcdr {index} {a(d)})",
            lambda _: f"(subseq {a(d)} {self.random.randint(0, 1)})",
            lambda _: f"(subseq {a(d)} 0 {index})",
            lambda _: f"(mapcar #'list {a(d)} {a(d)})",
            lambda _: f"(mapcar #'cons {a(d)} {a(d)})",
            lambda _: f"(mapcan #'list {a(d)} {a(d)})",
            lambda _: f"(map 'list #'{self._pick('list identity atom numberp')} {a(d)})",
            lambda _: f"(map 'vector #'{self._pick('list identity atom numberp')} {a(d)})",
            lambda _: f"(remove {i(0)} {a(d)})",
            lambda _: f"({self._pick('remove-if remove-if-not')} #'{self._pick(_TESTS)} {a(d)})",
            lambda _: f"(member {i(0)} {a(d)}{self._test()})",
            lambda _: (
                f"(assoc {i(0)} (list (cons {i(0)} {i(0)}) (list {i(0)} 2) nil){self._test()})"
            ),
            lambda _: f"(make-list {index} :initial-element {i(0)})",
            lambda _: f"(vector {i(d)} {i(d)})",
            lambda _: f"(concatenate 'list {a(d)} (vector {i(0)}))",
            lambda _: f"`({i(0)} ,{i(d)} ,@{a(d)} . {self.datum(0)})",
            lambda _: f"`(a (b ,{i(d)}) ,@{a(d)})",
            lambda _: f"`(,@{a(d)} ,@{a(d)})",
            lambda _: f"(multiple-value-list {self.several(d)})",
            lambda _: self.built(depth),
            lambda _: self.loop(depth),
            lambda _: self.numbers_list(depth),
        )(d)

    def _test(self) -> str:
        return self.random.choice(["", "", " :test #'equal", " :key #'identity", " :test #'eql"])

    def built(self, depth: int) -> str:
        """Return a form that changes lists in place, where sharing shows."""
        a, i, d = self.any_list, self.item, depth - 1
        self.lists += ["x", "y"]
        inner = a(d)
        del self.lists[-2:]
        change = self._pick("push1 pop setcar setnth setcdr append")
        text = {
            "push1": f"(push {i(0)} x)",
            "pop": "(pop x)",
            "setcar": f"(setf (car x) {i(0)})",
            "setnth": f"(setf (nth 1 x) {i(0)})",
            "setcdr": f"(setf (cdr x) {i(0)})",
            "append": "(setf x (append x y))",
        }[change]
        share = self.random.choice(
            [
                "x",
                "(cdr x)",
                "(append (list 0) x)",
                "(cons 0 x)",
                "(list x x)",
                "(last x)",
                "(nthcdr 1 x)",
                "(reverse x)",
                "(butlast x)",
                "(member 2 x)",
            ]
        )
        return f"(let* ((x (list 1 2 3)) (y {share})) {text} (list x y {inner}))"

    def truth(self, depth: int) -> str:
        """Return a form that gives t or nil."""
        n, a, i, d = self.number, self.any_list, self.item, depth - 1
        if depth <= 0:
            return self._pick("t nil")
        return self._one(
            lambda _: f"({self._pick('= /= < > <= >=')} {n(d)} {n(d)})",
            lambda _: f"({self._pick('= /= < > <= >=')} {n(d)} {n(d)} {n(d)})",
            lambda _: f"({self._pick('eql equal eq')} {self.datum_form()} {self.datum_form()})",
            lambda _: f"(let ((x {i(d)})) ({self._pick('eql equal eq')} x x))",
            lambda _: (
                f"({self._pick('zerop plusp minusp floatp integerp rationalp numberp realp')} "
                f"{n(d)})"
            ),
            lambda _: f"({self._pick('evenp oddp')} {self.integer(d)})",
            lambda _: f"({self._pick(_TYPES)} {i(d)})",
            lambda _: f"({self._pick('and or')} {self.truth(d)} {i(d)} {self.truth(d)})",
            lambda _: f"(not {self.truth(d)})",
            lambda _: (
                f"({self._pick('every some notany')} #'{self._pick('numberp null consp')} {a(d)})"
            ),
            lambda _: f"({self._pick('position count find')} {i(0)} {a(d)}{self._test()})",
            lambda _: f"(cond ({self.truth(d)} {i(d)}) ({self.truth(d)}) (t {i(d)}))",
            lambda _: f"({self._pick('when unless')} {self.truth(d)} {i(d)})",
            lambda _: (
                f"(case '{self.atom()} ({self.atom()} 1) (({self.atom()} {self.atom()}) 2) (t 3))"
            ),
        )(d)

    def datum_form(self) -> str:
        return self.random.choice(
            [
                "1",
                "1.0",
                "1d0",
                "0.0",
                "-0.0",
                "0",
                "'a",
                "'(1 2)",
                "(list 1 2)",
                "nil",
                "()",
                '"ab"',  # Python has one object for equal texts of one character
                "1/2",
                ":a",
                "'|A|",
                "'|a|",
                "#\\a",
                "(cons 1 2)",
                "'(1 . 2)",
                "(vector 1)",
                "#(1)",
                "2/4",
                "'b",
            ]
        )

    def several(self, depth: int) -> str:
        """Return a form that gives several values."""
        n, d = self.number, depth - 1
        a, b = self._fresh(), self._fresh()
        return self._one(
            lambda _: f"({self._pick('floor ceiling round truncate')} {n(d)} {n(d)})",
            lambda _: f"({self._pick('floor ceiling round truncate')} {n(d)})",
            lambda _: f"(values {n(d)} {self.item(d)})",
            lambda _: "(values)",
            lambda _: f"(values-list {self.any_list(d)})",
            lambda _: (
                f"(multiple-value-bind ({a} {b}) {self.several(d) if d > 0 else '(floor 7 2)'} "
                f"(list {b} {a}))"
            ),
            lambda _: f"(progn {n(d)} (floor {n(d)} 2))",
            lambda _: f"(prog1 (floor {n(d)} 2) 3)",
            lambda _: f"(or (floor {n(d)} 2))",
            lambda _: f"(or nil (values nil 2) (floor {n(d)} 2))",
            lambda _: f"(and 1 (floor {n(d)} 2))",
            lambda _: f"(cond ((floor {n(d)} 2)))",
            lambda _: f"(if {self.truth(d)} (values 1 2) (values 3 4))",
            lambda _: f"(let ((x 1)) (floor {n(d)} 3))",
            lambda _: f"(funcall #'floor {n(d)} 3)",
            lambda _: f"(apply #'values {self.any_list(d)})",
            lambda _: "(block b (return-from b (values 1 2)))",
            lambda _: "(loop for i from 1 to 3 do (when (= i 2) (return (values i 5))))",
            lambda _: "(loop repeat 2 finally (return (values 1 2)))",
        )(d)

    def loop(self, depth: int) -> str:
        """Return a loop with clauses of all kinds."""
        return Loops(self.random).loop()


def random_forms(seed: int, count: int) -> list[str]:
    """Return forms; the same for one seed."""
    source = Forms(random.Random(seed))
    return [source.form() for _ in range(count)]
