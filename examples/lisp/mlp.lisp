;;;; Digits by three linear layers: a sequence, and a model that holds it.

(defsequence MLP (in-features hidden-dim out-features &key (activation #'!relu))
  (Linear in-features hidden-dim)
  (asnode activation)
  (Linear hidden-dim hidden-dim)
  (asnode activation)
  (Linear hidden-dim out-features))

(defmodel (Digits (&key (size 28) (hidden-dim 512) (classes 10))
           :documentation "An MLP over the pixels of an image, and probabilities of its classes.")
    ((size size)
     (mlp (MLP (* size size) hidden-dim classes))))

(defcall (self Digits) (Image[batch height width])
  "Return the probability of each class."
  (with-slots (size mlp) self
    (!softmax (call mlp (!reshape image (list batch (* size size)))))))
