"""`train.py` from the outside: one line for every mistake, nothing lost."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FILES = {
    "unknown.py": "c.optim.lrr = 3",
    "ill_typed.py": "c.optim.lr = 'fast'",
    "syntax.py": "c.seed = = 3",
    "missing_import.py": "import nothing_there",
    "not_a_config.py": "return {'seed': 3}",
    "task.py": "c.task = 'gann'",
    "none.py": None,
}
TINY = ["--config", "configs/tiny.py"]
LINES = [
    ([], "which run? Give one as --config"),
    (["--config", "nope.py"], "nope.py: there is no such file"),
    (["--config=nope.py", "--config.seed=3"], "nope.py: there is no such file"),
    ([*TINY, "--config.optim.lrr=1"], "lrr: unknown field; did you mean optim.lr?"),
    ([*TINY, "--config.optm.lr=1"], "optm.lr: unknown field; did you mean optim.lr?"),
    ([*TINY, "--config.optim.lr=abc"], "optim.lr=abc: expected float, like 0.0001"),
    ([*TINY, "--config.num_steps=1.5"], "num_steps=1.5: expected int, like 1000"),
    ([*TINY, "--config.optim=3"], "a group of fields; set one, as --config.optim.b1"),
    ([*TINY, "--config.num_steps=0"], "num_steps is 0, expected 1 or more"),
    ([*TINY, "--config.data.train=a,b"], "expected two integers"),
    ([*TINY, "--workdr=x"], "Did you mean: workdir"),
    ([*TINY, "config.seed=3"], "Options start with --"),
    (["--config", "unknown.py"], "line 4: unknown field lrr; did you mean optim.lr?"),
    (["--config", "ill_typed.py"], "line 4: Could not override field 'lr'"),
    (["--config", "syntax.py"], "line 4: syntax error"),
    (["--config", "missing_import.py"], "No module named 'nothing_there'"),
    (["--config", "not_a_config.py"], "must return hyperstyle_jax.config.base(task)"),
    (["--config", "task.py"], "config.task is 'gann', expected one of gan"),
    (["--config", "none.py"], "none.py has no function get_config()"),
]


# Flags live once per process: each command line is read by a fork of a process that
# has only imported train.py.
FORKS = """
import json, os, sys
import train
for arguments in json.loads(sys.argv[1]):
    pid = os.fork()
    if not pid:
        os.dup2(1, 2)
        sys.argv[1:] = arguments
        train.parse(sys.argv)
        os._exit(0)
    print("exit code", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each command line of LINES says: [(message, exit code)]."""
    folder = tmp_path_factory.mktemp("configs")
    for name, line in FILES.items():
        head = "from hyperstyle_jax.config import base\n"
        body = f"def get_config():\n    c = base('gan')\n    {line}\n    return c\n"
        (folder / name).write_text(head + body if line else "x = 3\n")
    cases = [
        [str(folder / a) if a in FILES else a for a in arguments]
        for arguments, _ in LINES
    ]
    command = [sys.executable, "-W", "ignore", "-c", FORKS, json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    found = re.findall(r"(.*?)exit code (\d+)\n", done.stdout, re.DOTALL)
    return [(message, int(code)) for message, code in found]


@pytest.mark.parametrize("case", range(len(LINES)))
def test_a_mistake_gives_one_line_and_exit_code_2(said, case):
    message, code = said[case]
    assert code == 2
    assert LINES[case][1] in message
    assert message.startswith("error: ") and message.count("\n") == 1
