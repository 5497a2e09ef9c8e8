"""A GPT-2 in Lisp, in our own words: Caten's names and arguments, other forms."""

from __future__ import annotations

GPT = """
;; Causal attention with a cache of keys and values, pre-norm blocks, a greedy head.
(defparameter *remembers* t "Whether attention keeps keys and values between calls.")

(defun attend (q k v &optional bias)
  "Mix the rows of V by the softmax of scaled products of Q and K."
  (let* ((width (car (last (shape q))))
         (scores (!div (!matmul q (!transpose k -2 -1)) (fconst (sqrt width)))))
    (unless (null bias)
      (setf scores (!add scores bias)))
    (!matmul (!softmax scores) v)))

(defmodel (Attention (dim n-heads max-seq-len &key (use-kv-cache *remembers*)))
    ((c-attn (Linear dim (* dim 3)))
     (c-proj (Linear dim dim))
     (heads n-heads)
     (room max-seq-len)
     (use-kv-cache use-kv-cache :reader remembers-p)
     (k-cache nil :accessor seen-keys)
     (v-cache nil :accessor seen-values)))

(defmethod remembered ((self Attention) k v start)
  (when (not (remembers-p self))
    (return-from remembered (values k v)))
  (multiple-value-bind (batch time heads width) (values-list (shape k))
    (assert (integerp batch) () "the batch must be known")
    (let ((end (!+ start (iconst time)))
          (full (list batch (slot-value self 'room) heads width)))
      (unless (seen-keys self)
        (setf (seen-keys self) (linspace full 0 0)
              (seen-values self) (linspace full 0 0)))
      (labels ((joined (cache new)
                 (let ((place (!view cache t `(,start ,end) t t)))
                   (!view-from-base (!assign place new) t (list 0 end) t t))))
        (values (joined (seen-keys self) k)
                (joined (seen-values self) v))))))

(defmethod call ((self Attention) &rest given)
  (multiple-value-bind (x bias start) (apply #'values given)
    (with-slots (heads (mix c-attn) (out c-proj)) self
      (flet ((by-head (y)
               (let ((sizes (shape y)))
                 (!reshape y (append (butlast sizes) (list heads (/ (third sizes) heads)))))))
        (multiple-value-bind (q k v) (!chunk (call mix x) 3 :dim -1)
          (multiple-value-bind (k v) (remembered self (by-head k) (by-head v) start)
            (let* ((mixed (attend (!transpose (by-head q) 1 2)
                                  (!transpose k 1 2)
                                  (!transpose v 1 2)
                                  bias))
                   (mixed (!permute mixed '(0 2 1 3))))
              (call out (!reshape mixed (shape x))))))))))

(defmodel (FeedForward (dim hidden-dim))
    ((c-fc (Linear dim hidden-dim))
     (c-proj (Linear hidden-dim dim))))

(defcall (self FeedForward) (Hidden[~ dim])
  (call (slot-value self 'c-proj)
        (!gelu (call (slot-value self 'c-fc) hidden))))

(defmodel (TransformerBlock (dim n-heads &key (norm-eps 1e-5) (max-seq-len 1024)))
    ((attn (Attention dim n-heads max-seq-len))
     (mlp (FeedForward dim (* 4 dim)))
     (ln_1 (LayerNorm (list dim) :eps norm-eps))
     (ln_2 (LayerNorm (list dim) :eps norm-eps))))

(defmethod call ((self TransformerBlock) &rest given &aux (x (first given)))
  (with-slots (attn mlp ln_1 ln_2) self
    (setf x (!+ x (apply #'forward attn (forward ln_1 x) (rest given))))
    (!+ x (forward mlp (forward ln_2 x)))))

(defmodel (Transformer (dim n-heads n-layers norm-eps vocab-size &key (max-seq-len 1024)))
    ((vocab-size vocab-size)
     (wte (Embedding vocab-size dim))
     (wpe (Embedding max-seq-len dim))
     (h (loop for nil from 1 to n-layers
              collect (TransformerBlock dim n-heads :norm-eps norm-eps :max-seq-len max-seq-len)))
     (ln-f (LayerNorm (list dim) :eps norm-eps))
     (lm-head (Linear dim vocab-size :bias nil))))

(defmethod scores ((self Transformer) tokens start)
  (with-slots (wte wpe h ln-f lm-head) self
    (let* ((time (second (shape tokens)))
           (where (!add start (!index-components (list 1 time))))
           (x (!add (call wte tokens) (call wpe (!cast where (dtype-of tokens)))))
           (bias (!triu (!full (list 1 1 time (!+ start (iconst time))) (-inf))
                        :diagonal (!+ start (iconst 1)))))
      (loop for block in h do (setf x (forward block x bias start)))
      (forward lm-head (forward ln-f x)))))

(defcall (self Transformer) (Tokens[Batch Seq-Len] Start[])
  (!argmax (!view (scores self tokens start) t -1 t)))

(defclass Scorer (Transformer) ())
(defcall (self Scorer) (Tokens[Batch Seq-Len] Start[])
  (scores self tokens start))
"""
