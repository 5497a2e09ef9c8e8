"""tinygrad on its device in plain Python, which needs no compiler; set DEV for another one."""

import os

os.environ.setdefault("DEV", "PYTHON")
