"""The command line. What needs torch happens in the child process; nothing here imports it. What only one of the commands
needs is imported by that command: the others start sooner."""

import sys
from contextlib import suppress
from typing import Any

import click

from gradcheck.base.version import __version__
from gradcheck.checks.registry import HEALTH_FAMILIES
from gradcheck.cli import explain
from gradcheck.cli import report as cli_report
from gradcheck.cli.options import (
    ProgramCommand,
    allow_writes_option,
    cluster_options,
    display_options,
    options_of,
    output_options,
    program_options,
    rule_options,
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,  # what click does by itself without a command differs between its versions
)
@click.version_option(__version__, prog_name="gradcheck", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """A debugger for hand-written backward passes.

    It runs one training step of your program undisturbed, and reports for every gradient you compute by hand
    whether it is right, which line made the error, and which lines only pass it on.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command(cls=ProgramCommand, short_help="Check every manual gradient of a program.")
@program_options
@output_options("reports/<target>.md for markdown, .html for html", several=True)
@options_of("report")
@cluster_options
@rule_options
def report(**options: Any) -> None:
    """Check every manual gradient of a program.

    The program is run in a process of its own, as it is: nothing is edited, no window opens, and what it
    writes goes to a private copy: no file changes (see --allow-writes). Loops that train are left after the
    recorded iteration, so max_steps need not be lowered. The recorded step is then replayed in float64, and
    every manual gradient gets a verdict:

    \b
      correct       equal to the true gradient
      introduced    wrong, and this line made the error
      inherited     wrong, but this line is right: a gradient it was given is not
      compensated   right, but only because two faults cancel
      unobservable  the true gradient is zero by invariance, so it says nothing about this line
      unchecked     not judged; the report says why

    \b
    TARGETS
      notebook.ipynb           its code cells, in order; magics and shell lines are skipped and listed
      script.py                the script, as __main__
      script.py::function      a function of the script, after the script's body
      package.module           the module, as `python -m package.module` runs it
      package.module:callable  a callable that performs one training step
      'script.py::train(np.ones((4, 3)), 0.1)'
                               the same with arguments; np, torch and the script's names can be used
      (none)                   `targets` under [tool.gradcheck] in the nearest pyproject.toml

    \b
    EXIT STATUS
      0  nothing at error level
      1  at least one finding at error level; with --strict also: no gradient could be checked,
         an exception cut the program short, or a parameter moves whose gradient was not found
      2  the program or the arguments could not be used
      130  interrupted; what was found until then is in the report, which says that it is incomplete

    \b
    EXAMPLES
      gradcheck report train.ipynb
      gradcheck report mlp.py --at 0,100 --loss loss
      gradcheck report lstm.py::step --pair d_h=h_prev
      gradcheck report train.py -- --epochs 1
      gradcheck report homework/*.ipynb --jobs 4 --quiet
      gradcheck report homework/*.ipynb --backend dask --scheduler tcp://10.0.0.1:8786
      gradcheck report makemore.ipynb --data names.txt=~/data/names.txt
      gradcheck report train.ipynb --format json --output - | jq .summary
    """
    sys.exit(cli_report.run(**options))


@cli.command(cls=ProgramCommand, short_help="Show or write the fixes that were proved.")
@program_options
@click.option("--diff", is_flag=True, help="Show the patch, and change no file. This is the default.")
@click.option("--write", is_flag=True, help="Write the fixes into the files, then report again.")
@click.option(
    "--unproved", is_flag=True, help="Also take edits that fit the recorded step but could not be proved."
)
@rule_options
def fix(**options: Any) -> None:
    """Show or write the fixes that were proved.

    The program is run and reported on as by `gradcheck report`. For every fault, edits of the person's own
    lines are tried; an edit is a verified fix only if the recorded step, replayed with it, computes the true
    gradient: at other parameters, on other data, at other sizes, and with other constants. An edit that fits
    the recorded step and could not be tried at other sizes is shown and written with --unproved only.

    \b
    --diff prints a unified diff, with paths relative to the current directory:
      gradcheck fix train.py | git apply
      gradcheck fix train.py | patch -p1

    A notebook is patched as the JSON file it is: only characters of its code lines change, and outputs,
    metadata and layout stay. In a terminal, its cells are shown as code first. Findings without a verified
    fix are listed on standard error.

    --write edits the files in place, runs the program again and says what is left. Faults that appear
    then are fixed too if a fix is verified, up to five times. Every file is replaced as a whole. A file
    that has changed since it was run, or that is read-only, is left alone, and so are all others; if the
    program can no longer be analysed, the files are restored. Reload a notebook that is open in Jupyter from
    disk, and run its cells to renew the outputs.

    One fix can repair several findings, and is applied once. Of two fixes that overlap the first is applied;
    the other takes another run, which --write does by itself.

    TARGETS are those of `gradcheck report`; without any, those of pyproject.toml.

    \b
    EXIT STATUS
      0  --diff: nothing to fix;                   --write: nothing at error level is left
      1  --diff: a patch, or errors without a fix; --write: something at error level is left
      2  the program, the arguments or a file could not be used

    \b
    EXAMPLES
      gradcheck fix train.ipynb
      gradcheck fix mlp.py > mlp.patch
      gradcheck fix mlp.py --write --fix-budget 30
      gradcheck fix --write --select GC101
    """
    from gradcheck.cli import fix as cli_fix

    sys.exit(cli_fix.run(**options))


@cli.command(cls=ProgramCommand, short_help="Report again whenever the program is saved.")
@program_options
@click.option("--verbose", is_flag=True, help="List the health rules that found nothing as well, and why.")
@rule_options
def watch(**options: Any) -> None:
    """Report again whenever the program, or a file of its own that it imports, is saved.

    Each run is one of its own, from the beginning; torch is imported while gradcheck waits. Ctrl-C ends it.
    """
    from gradcheck.cli import watch as cli_watch

    sys.exit(cli_watch.run(**options))


@cli.command(cls=ProgramCommand, short_help="Train with and without each fault: what does it cost?")
@program_options
@options_of("isolate")
@cluster_options
@output_options(
    "reports/<target>-isolation.md for markdown, with a figure of the loss curves beside it",
    ("terminal", "markdown", "html", "json"),
)
@rule_options
def isolate(**options: Any) -> None:
    """Train with and without each fault: what does it cost?

    The program is run and reported on as by `gradcheck report`. The recorded training step is then replayed in
    a loop, with fresh minibatches and the program's own update, once for every variant: as written, each fault
    alone repaired, all but one, all. A wrong gradient is repaired by putting the true one in its place; a fault
    of the forward pass by the fix that was verified. All variants have the same seeds and the same draws.

    The report ranks the faults by what they cost in loss. With up to 6 of them it gives each its share of the
    whole (Shapley values: they add up). On a right program it shows that true gradients change nothing.

    Finished trainings are kept in a .jsonl file beside the output. After Ctrl-C the report has them; --resume
    trains the others.

    TARGETS are those of `gradcheck report`; without any, those of pyproject.toml.

    \b
    EXIT STATUS
      0    the experiment was done
      2    the program or the arguments could not be used
      130  interrupted; what was finished is in the report

    \b
    EXAMPLES
      gradcheck isolate train.py
      gradcheck isolate train.ipynb --steps 5000 --seeds 5 --format markdown
      gradcheck isolate train.ipynb --layers
      gradcheck isolate train.py --backend dask --scheduler tcp://10.0.0.1:8786
    """
    from gradcheck.cli import isolate as cli_isolate

    sys.exit(cli_isolate.run(**options))


@cli.command(short_help="Check one layer on inputs that expose what its author's own hide.")
@click.argument("targets", nargs=-1, required=True, metavar="LAYER...")
@click.option("--args", default="", metavar="VALUES", help="The constructor's arguments by position: 3,5.")
@click.option("--kwargs", default="", metavar="NAME=VALUE,...", help="... and by name: size=3,bias=False.")
@click.option(
    "--input",
    "--int-input",
    "inputs",
    multiple=True,
    metavar="SHAPE",
    help="What forward takes, once for each input in order: 4,3 is a tensor of floats, 4,3:10 of integers "
    "below 10, 4,3:unit of numbers from 0 to 1, 4,3:bool of booleans.",
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="SHAPE",
    help="Run this one shape alone, to see a failure again.",
)
@click.option("--case", metavar="NAME", help="With --shape: in this case, such as `eval mode`.")
@click.option("--rank", default="", metavar="N,N,...", help="Only inputs of so many dimensions: 2,3.")
@click.option("--seed", default=0, show_default=True, help="The seed of all random draws.")
@click.option("--cwd", metavar="DIR", help="Import the layer in DIR instead of its own directory.")
@allow_writes_option
@click.option(
    "--timeout", "timeout_s", default=120.0, show_default=True, metavar="SECONDS", help="Time limit per case."
)
@click.option(
    "--fix-budget",
    "fix_budget_s",
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for the search for a fix, per fault.",
)
@output_options(formats=("terminal", "markdown", "json"))
@display_options
def layer(**options: Any) -> None:
    """Check one layer on inputs that expose what its author's own hide.

    What the constructor and forward take is found out from names, annotations and trials. The layer is then
    run with all parameters moved away from their initial values, as constructed, with a batch of one, square,
    with one feature, odd sizes, large values, repeated indices, in training and evaluation, on inputs of 2 to
    4 dimensions; and every gradient is judged as by `gradcheck report`. What fails is made as small as it
    goes. A case that could not be run is listed as such, and has passed nothing.

    \b
    LAYERS
      file.py::Class            a class with forward(*inputs) and backward(upstream), or a
                                torch.autograd.Function; or a function that makes such an object
      module:Class              the same, in an importable module
      file.py::forward,backward a pair of functions: out, cache = forward(...), backward(dout, cache)

    \b
    EXIT STATUS
      0  every gradient is right in every case that could be run
      1  a gradient is wrong, or could be judged in no case
      2  no way to make or call the layer was found, or no case could be judged

    \b
    EXAMPLES
      gradcheck layer layers.py::BatchNorm
      gradcheck layer layers.py::Linear --args 3,5 --input 4,3
      gradcheck layer layers.py::affine_forward,affine_backward
      gradcheck layer mypackage.layers:Embedding --int-input 4,6:20 --kwargs vocab=20,dim=8
    """
    from gradcheck.cli import layer as cli_layer

    sys.exit(cli_layer.run(**options))


@cli.command(short_help="Write an example with known faults, and report on it.")
@click.argument("folder", default="gradcheck-demo", metavar="[FOLDER]")
@click.option("--force", is_flag=True, help="Write over files that are not those of the example.")
@click.pass_context
def demo(context: click.Context, folder: str, force: bool) -> None:
    """Write an example with known faults, and report on it.

    The example is a network of three layers whose backward pass is written by hand, as a script and as a
    notebook. It learns worse than it should. FOLDER is made if it is not there.
    """
    from gradcheck.cli import demo as cli_demo

    target = cli_demo.written(folder, force)
    with suppress(SystemExit):
        context.invoke(report, targets=[target], ignore=HEALTH_FAMILIES)
    click.echo("\n" + cli_demo.what_next(target))


@cli.command(short_help="Serve reports to coding agents, over MCP.")
def mcp() -> None:
    """Serve reports to coding agents, over the Model Context Protocol on standard input and output.

    \b
    TOOLS
      report    judge every manual gradient of a program
      explain   what is known of one gradient
      fix       the edits that replay has proved, as a patch

    They return what `gradcheck report --format json` prints. It needs the library: pip install 'gradcheck[mcp]'.
    """
    from gradcheck.cli import agents as cli_agents

    cli_agents.serve()


for command in (explain.rule, explain.rules, explain.schema):
    cli.add_command(command)
