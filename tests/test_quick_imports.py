"""What a start leaves out, looked at in an interpreter of its own: imports cannot be undone."""

import subprocess
import sys

SCRIPT = """
import inspect, sys
from alignment.quick_imports import leave_out_bitsandbytes, no_stubs_of_gradio

getfile, written = inspect.getfile, []
with no_stubs_of_gradio():
    import gradio.component_meta
    import gradio
assert inspect.getfile is getfile
gradio.component_meta.create_pyi = lambda *_: written.append(1) or ""
with no_stubs_of_gradio():
    import gradio.components.dataset, importlib
    importlib.reload(gradio.components.dataset)
assert not written, "Gradio wrote stubs"

leave_out_bitsandbytes()
import peft
from peft.import_utils import is_bnb_available
assert not is_bnb_available()
assert "torch._inductor.compile_fx" not in sys.modules, "the compiler was imported all the same"
"""


def test_a_start_leaves_out_the_stubs_and_the_compiler_that_it_does_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
