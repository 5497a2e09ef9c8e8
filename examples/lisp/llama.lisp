;;;; A decoder in the style of Llama: RMSNorm, rotary positions, grouped heads, a gated net.

(defparameter *rope-base* 10000.0)

(defun rotated (x cosines sines)
  "Turn each pair of features by the angle of its position."
  (multiple-value-bind (first-half second-half) (!chunk x 2 :dim -1)
    (!+ (!* x cosines)
        (!* (!concatenate -1 (!neg second-half) first-half) sines))))

(defun angles (time width)
  "Return the angles (time, width) by which the features of each position turn."
  (let* ((half (/ width 2))
         (steps (!* (!index-components (list 1 half)) (fconst (/ -2.0 width))))
         (rates (!exp (!* steps (fconst (log *rope-base*)))))
         (places (!index-components (list time 1)))
         (turns (!* places rates)))
    (!concatenate -1 turns turns)))

(defmodel (GroupedAttention (dim n-heads &key (n-groups n-heads))
           :documentation "Causal attention whose heads share keys and values in groups.")
    ((head-dim (floor dim n-heads))
     (n-heads n-heads)
     (n-groups n-groups)
     (q-proj (Linear dim (* n-heads head-dim) :bias nil))
     (k-proj (Linear dim (* n-groups head-dim) :bias nil))
     (v-proj (Linear dim (* n-groups head-dim) :bias nil))
     (o-proj (Linear (* n-heads head-dim) dim :bias nil))))

(defcall (self GroupedAttention) (X[batch time dim])
  (with-slots (head-dim n-heads n-groups q-proj k-proj v-proj o-proj) self
    (let* ((turns (angles time head-dim))
           (cosines (!cos turns))
           (sines (!sin turns)))
      (labels ((heads (y count)
                 (!transpose (!reshape y (list batch time count head-dim)) 1 2))
               (shared (y)
                 (let* ((each (floor n-heads n-groups))
                        (y (!reshape y batch n-groups 1 time head-dim))
                        (y (!expand y batch n-groups each time head-dim)))
                   (!reshape y batch n-heads time head-dim))))
        (let* ((q (rotated (heads (call q-proj x) n-heads) cosines sines))
               (k (shared (rotated (heads (call k-proj x) n-groups) cosines sines)))
               (v (shared (heads (call v-proj x) n-groups)))
               (mask (!triu (!full (list time time) (-inf)) :diagonal 1))
               (scores (!+ (!/ (!matmul q (!t k)) (fconst (sqrt head-dim))) mask))
               (mixed (!matmul (!softmax scores) v)))
          (call o-proj (!reshape (!transpose mixed 1 2) batch time (* n-heads head-dim))))))))

(defmodel (GatedNet (dim hidden-dim))
    ((gate-proj (Linear dim hidden-dim :bias nil))
     (up-proj (Linear dim hidden-dim :bias nil))
     (down-proj (Linear hidden-dim dim :bias nil))))

(defcall (self GatedNet) (X[~ dim])
  (with-slots (gate-proj up-proj down-proj) self
    (call down-proj (!* (!silu (call gate-proj x)) (call up-proj x)))))

(defmodel (DecoderLayer (dim n-heads n-groups hidden-dim eps))
    ((self-attn (GroupedAttention dim n-heads :n-groups n-groups))
     (mlp (GatedNet dim hidden-dim))
     (input-layernorm (RMSNorm (list dim) :eps eps))
     (post-attention-layernorm (RMSNorm (list dim) :eps eps))))

(defcall (self DecoderLayer) (X[batch time dim])
  (with-slots (self-attn mlp input-layernorm post-attention-layernorm) self
    (setf x (!+ x (call self-attn (call input-layernorm x))))
    (!+ x (call mlp (call post-attention-layernorm x)))))

(defmodel (Llama (vocab-size dim n-layers n-heads
                  &key (n-groups n-heads) (hidden-dim (* 4 dim)) (eps 1e-6) (tied nil)))
    ((embed-tokens (Embedding vocab-size dim))
     (layers (loop repeat n-layers
                   collect (DecoderLayer dim n-heads n-groups hidden-dim eps)))
     (norm (RMSNorm (list dim) :eps eps))
     (lm-head (Linear dim vocab-size :bias nil)))
  (when tied
    (setf (slot-value lm-head 'weight) (slot-value embed-tokens 'weight))))

(defcall (self Llama) (Tokens[batch time])
  "Return the scores (batch, time, vocab) of the next tokens."
  (with-slots (embed-tokens layers norm lm-head) self
    (let ((x (call embed-tokens tokens)))
      (dolist (layer layers)
        (setf x (call layer x)))
      (call lm-head (call norm x)))))
