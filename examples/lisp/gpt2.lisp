;;;; GPT-2 as a model of Caten: the keys of its state are those of Caten's own Transformer.
;;;; gpt2.py next to this file is what `caten-sd port gpt2.lisp -o gpt2.py` writes.

(in-package :caten-user)

(defparameter *remember* t "Whether attention keeps keys and values for the next call.")

(defun attend (query key value mask)
  "Mix the values by how well each query matches the keys, where the mask is 0."
  (let* ((width (car (last (shape query))))
         (scores (!/ (!matmul query (!transpose key -2 -1)) (fconst (sqrt width)))))
    (!matmul (!softmax (!+ scores mask)) value)))

(defmodel (Attention (dim n-heads max-seq-len &key (remember *remember*))
           :documentation "Self-attention with several heads.

The caches have the shape (batch, max_seq_len, n_heads, width).")
    ((c-attn (Linear dim (* 3 dim)))
     (c-proj (Linear dim dim))
     (n-heads n-heads)
     (max-seq-len max-seq-len)
     (remember remember)
     (k-cache nil)
     (v-cache nil)))

(defmethod remembered ((self Attention) key value start)
  "Write keys and values after those of earlier calls, and return all of them."
  (with-slots (max-seq-len remember k-cache v-cache) self
    (unless remember
      (return-from remembered (values key value)))
    (multiple-value-bind (batch time n-heads width) (apply #'values (shape key))
      (let ((end (!+ start (iconst time))))
        (unless k-cache
          (setf k-cache (linspace (list batch max-seq-len n-heads width) 0 0)))
        (unless v-cache
          (setf v-cache (linspace (list batch max-seq-len n-heads width) 0 0)))
        (flet ((extended (cache new)
                 (let ((written (!assign (!view cache t (list start end) t t) new)))
                   (!view-from-base written t (list 0 end) t t))))
          (values (extended k-cache key) (extended v-cache value)))))))

(defcall (self Attention) (X[batch time dim] Mask[time seen] Start[])
  "Map x to the same shape; a position sees those that the mask lets it see."
  (with-slots (c-attn c-proj n-heads) self
    (flet ((by-head (y)
             (!reshape y (list batch time n-heads (/ dim n-heads)))))
      (multiple-value-bind (query key value) (!chunk (call c-attn x) 3 :dim -1)
        (multiple-value-bind (key value) (remembered self (by-head key) (by-head value) start)
          (let ((mixed (attend (!transpose (by-head query) 1 2)
                               (!transpose key 1 2)
                               (!transpose value 1 2)
                               mask)))
            (call c-proj (!reshape (!transpose mixed 1 2) (list batch time dim)))))))))

(defmodel (FeedForward (dim hidden-dim)
           :documentation "Two linear layers with a GELU between them.")
    ((c-fc (Linear dim hidden-dim))
     (c-proj (Linear hidden-dim dim))))

(defcall (self FeedForward) (X[~ dim])
  "Map x to the same shape."
  (with-slots (c-fc c-proj) self
    (call c-proj (!gelu (call c-fc x)))))

(defmodel (TransformerBlock (dim n-heads &key (norm-eps 1e-5) (max-seq-len 1024))
           :documentation "Attention and a feed-forward net; each adds to its normalized input.")
    ((attn (Attention dim n-heads max-seq-len))
     (mlp (FeedForward dim (* 4 dim)))
     (ln_1 (LayerNorm (list dim) :eps norm-eps))
     (ln_2 (LayerNorm (list dim) :eps norm-eps))))

(defmethod call ((self TransformerBlock) &rest inputs)
  "Map x to the same shape."
  (multiple-value-bind (x mask start) (apply #'values inputs)
    (with-slots (attn mlp ln_1 ln_2) self
      (let ((x (!+ x (call attn (call ln_1 x) mask start))))
        (!+ x (call mlp (call ln_2 x)))))))

(defmodel (Transformer (dim n-heads n-layers norm-eps vocab-size &key (max-seq-len 1024))
           :documentation "GPT-2, whose head has a weight of its own.")
    ((wte (Embedding vocab-size dim))
     (wpe (Embedding max-seq-len dim))
     (h (loop repeat n-layers
              collect (TransformerBlock dim n-heads :norm-eps norm-eps :max-seq-len max-seq-len)))
     (ln-f (LayerNorm (list dim) :eps norm-eps))
     (lm-head (Linear dim vocab-size :bias nil))))

(defcall (self Transformer) (Tokens[batch time] Start[])
  "Return the scores (batch, time, vocab) of the tokens that may follow each one.

The tokens have the positions from start on, and follow those of earlier calls."
  (with-slots (wte wpe h ln-f lm-head) self
    (let* ((places (!cast (!+ start (!index-components (list 1 time))) (dtype-of tokens)))
           (mask (!triu (!full (list time (!+ start (iconst time))) (-inf))
                        :diagonal (!+ start (iconst 1))))
           (x (!+ (call wte tokens) (call wpe places))))
      (dolist (block h)
        (setf x (call block x mask start)))
      (call lm-head (call ln-f x)))))
