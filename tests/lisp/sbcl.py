"""Evaluate Lisp in SBCL, and write values so that both sides write the same one alike."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from caten_sd.lisp.functions.lisp_values import MultipleValues
from caten_sd.lisp.functions.lists import Pair, Vector
from caten_sd.lisp.syntax.datum import Character, SingleFloat, Symbol

SBCL = shutil.which("sbcl")
REFUSED = "refused"

_PROGRAM = r"""
(setf sb-ext:*evaluator-mode* :interpret)
(declaim (sb-ext:muffle-conditions warning))
(defun tell (value)
  (typecase value
    (null (format t "NIL"))
    (keyword (format t ":~a" (symbol-name value)))
    (symbol (format t "~a" (symbol-name value)))
    (integer (format t "~d" value))
    (ratio (format t "~d/~d" (numerator value) (denominator value)))
    (single-float (format t "s~8,'0x" (ldb (byte 32 0) (sb-kernel:single-float-bits value))))
    (double-float (format t "d~8,'0x~8,'0x"
                          (ldb (byte 32 0) (sb-kernel:double-float-high-bits value))
                          (sb-kernel:double-float-low-bits value)))
    (string (format t "~s" (coerce value 'simple-string)))
    (character (format t "#~d" (char-code value)))
    (cons (format t "(")
          (loop for rest on value
                do (tell (car rest))
                when (consp (cdr rest)) do (format t " ")
                unless (listp (cdr rest)) do (format t " . ") (tell (cdr rest)))
          (format t ")"))
    (vector (format t "#(")
            (loop for at from 0 for item across value
                  do (unless (zerop at) (format t " ")) (tell item))
            (format t ")"))
    (complex (error "complex"))
    (function (format t "function"))
    (t (format t "~a" (type-of value)))))
(defun answer (text)
  (let ((*standard-output* (make-string-output-stream)) (*error-output* (make-broadcast-stream)))
    (handler-case
        (let ((values (multiple-value-list
                       (sb-ext:with-timeout 2
                         (WHAT text)))))
          (loop for (value . more) on values do (tell value) when more do (format t " & "))
          (get-output-stream-string *standard-output*))
      (sb-ext:timeout () "timeout")
      (sb-sys:interactive-interrupt () "timeout")
      (serious-condition () "refused"))))
(let ((*package* (make-package "ORACLE" :use '("COMMON-LISP"))))
  (with-open-file (in (second sb-ext:*posix-argv*) :external-format :utf-8)
    (with-open-file (out (third sb-ext:*posix-argv*) :direction :output :external-format :utf-8
                         :if-exists :supersede)
      (loop for text = (read in nil) while text
            do (write-string (substitute #\Space #\Newline (answer text)) out) (terpri out)))))
"""
_EVALUATED = "(eval (read-from-string text))"
_READ = """(with-input-from-string (in text)
  (values-list (loop for datum = (read in nil in) until (eq datum in) collect datum)))"""


def sbcl_answers(forms: Sequence[str], folder: Path, *, read_only: bool = False) -> list[str]:
    """Return what each form gives in SBCL, as `answer_text` writes it."""
    assert SBCL is not None
    program, given, found = (folder / each for each in ("ask.lisp", "forms", "answers"))
    program.write_text(_PROGRAM.replace("(WHAT text)", _READ if read_only else _EVALUATED))
    escaped = (each.replace("\\", "\\\\").replace('"', '\\"') for each in forms)
    given.write_text("\n".join(f'"{each}"' for each in escaped), newline="")
    script = [SBCL, "--script", str(program), str(given), str(found)]
    subprocess.run(script, check=True, capture_output=True, timeout=600)
    return found.read_bytes().decode().split("\n")[:-1]


def answer_text(value: Any) -> str:
    """Return a value, or several, as the program for SBCL writes it."""
    if isinstance(value, MultipleValues):
        return " & ".join(map(answer_text, value))
    if value is None or value is True:
        return "NIL" if value is None else "T"
    if isinstance(value, Pair):
        rest = answer_text(value.cdr)
        dotted = rest[1:-1] if isinstance(value.cdr, Pair) else f". {rest}"
        return f"({answer_text(value.car)} {dotted})"
    if isinstance(value, list):
        sign = "#" if isinstance(value, Vector) else ""
        return f"{sign}({' '.join(map(answer_text, value))})"
    return _atom_text(value)


def _atom_text(value: Any) -> str:
    if isinstance(value, SingleFloat):
        return f"s{struct.pack('>f', value).hex().upper()}"
    if isinstance(value, float):
        return f"d{struct.pack('>d', value).hex().upper()}"
    if isinstance(value, Symbol):
        return f":{value.name}" if value.is_keyword else value.name
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, Character):
        return f"#{ord(value.text)}"
    return "function" if callable(value) else str(value)
