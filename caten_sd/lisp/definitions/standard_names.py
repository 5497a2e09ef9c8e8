"""Names that Common Lisp itself defines as functions, macros or classes, and no file may redefine.

SBCL refuses such a definition. Here a form of that name would mean Lisp's own, without a word.
"""

from __future__ import annotations

_SPECIAL = """
block catch eval-when flet function go if labels let let* load-time-value locally macrolet
multiple-value-call multiple-value-prog1 progn progv quote return-from setq symbol-macrolet tagbody
the throw unwind-protect and assert case ccase check-type cond ctypecase decf declaim defclass
defconstant defgeneric define-compiler-macro define-condition define-method-combination
define-modify-macro define-setf-expander define-symbol-macro defmacro defmethod defpackage
defparameter defsetf defstruct deftype defun defvar destructuring-bind do do* do-all-symbols
do-external-symbols do-symbols dolist dotimes ecase etypecase formatter handler-bind handler-case
ignore-errors in-package incf lambda loop loop-finish multiple-value-bind multiple-value-list
multiple-value-setq nth-value or pop pprint-logical-block print-unreadable-object prog prog* prog1
prog2 psetf psetq push pushnew remf restart-bind restart-case return rotatef setf shiftf step time
trace typecase unless untrace when with-accessors with-compilation-unit with-condition-restarts
with-hash-table-iterator with-input-from-string with-open-file with-open-stream
with-output-to-string with-package-iterator with-simple-restart with-slots with-standard-io-syntax
"""
_FUNCTIONS = """
abort abs acons acos acosh adjoin append apply apropos aref array array-dimension array-dimensions
array-rank array-total-size arrayp ash asin asinh assoc atan atanh atom bit boole boolean boundp
break butlast byte caar cadr car cdar cddr cdr ceiling cerror character characterp cis class
class-name class-of close coerce compile complement complex concatenate conjugate cons consp
constantly constantp continue copy-list copy-seq copy-tree cos cosh count count-if declare delete
denominator describe directory disassemble documentation elt endp eq eql equal equalp error eval
evenp every exp export expt fboundp fill find find-if first fifth float float-digits floatp floor
format fourth funcall functionp gcd gensym get getf gethash hash-table identity imagpart import
inspect integer integerp intern intersection isqrt keyword keywordp last lcm ldiff length list list*
listp load log logand logior logxor make-array make-hash-table make-instance make-list map mapc
mapcan mapcar mapcon maphash maplist mask-field max member merge method min minusp mismatch mod
nconc ninth not notany notevery nreverse nth nthcdr null number numberp numerator nunion oddp open
package pairlis pathname phase plusp position position-if print proclaim provide random ratio
rational rationalp read realp real reduce rem remove remove-if replace require rest restart reverse
room round row-major-aref search second sequence set seventh signal signum sin sinh sixth sleep
slot-value some sort sqrt stable-sort stream string subseq subsetp substitute svref symbol symbolp
tan tanh tenth terpri third truncate type type-of typep union values values-list variable vector
vectorp warn warning write zerop
"""

STANDARD_NAMES = frozenset(name.upper() for name in (_SPECIAL + _FUNCTIONS).split())
