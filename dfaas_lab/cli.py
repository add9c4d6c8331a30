"""The command ``dfaas-lab``: parses arguments, calls the package, and prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dfaas_lab import __version__
from dfaas_lab.errors import DfaasLabError
from dfaas_lab.printable import printable

if TYPE_CHECKING:
    import polars as pl

_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 good, 1 not, 2 misused, 130 interrupted."""
    asked = _parser().parse_args(arguments)
    try:
        code: int = asked.run(asked)
    except DfaasLabError as error:
        print(f"dfaas-lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"dfaas-lab: {interrupt or 'interrupted'}", file=sys.stderr)
        return _INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dfaas-lab", description="Measure DFaaS nodes with k6, from here or from a notebook."
    )
    parser.add_argument("--version", action="version", version=f"dfaas-lab {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="measure a lab on this machine and draw the result")
    demo.add_argument("--report", type=Path, default=Path("report"), help="folder of the report")
    demo.add_argument("--store", type=Path, default=Path("results"), help="folder of the results")
    demo.set_defaults(run=_demo)

    check = commands.add_parser("check", help="say what this machine has and lacks")
    check.add_argument("lab", nargs="?", type=Path, help="a lab file: check its hosts too")
    check.set_defaults(run=_check)

    serve = commands.add_parser("serve", help="run a lab on this machine for other processes")
    serve.add_argument("--write", type=Path, metavar="FILE", help="write its lab file here")
    serve.add_argument("--targets", type=int, default=1, help="how many gateways")
    serve.set_defaults(run=_serve)

    campaign = commands.add_parser(
        "campaign",
        help="run the campaign that a lab file describes, or go on with it",
        description="Run the campaign that a lab file describes. Ctrl-C ends it when what is under "
        "way is stored; the same command goes on exactly there, also after a kill.",
        epilog="Exit codes: 0 finished; 1 it cannot go on, or an iteration failed; 2 misused; "
        "130 interrupted.",
    )
    campaign.add_argument("lab", type=Path, help="the lab file")
    campaign.add_argument("--label", help="its label; also that of a stored campaign")
    campaign.add_argument("--preview", action="store_true", help="only say what it would cost")
    campaign.add_argument("--provision", action="store_true", help="make all hosts ready first")
    campaign.add_argument("--export", type=Path, metavar="DIR", help="write CSV files here")
    campaign.set_defaults(run=_campaign)
    return parser


def _campaign(asked: argparse.Namespace) -> int:
    """0: finished; 1: it cannot go on, or an iteration failed; 130: interrupted."""
    from dfaas_lab.lab import Lab

    with Lab.from_file(asked.lab) as lab:
        campaign = lab.campaign(label=asked.label)
        print(f"{printable(repr(campaign))}\n{printable(str(campaign.preview()))}", flush=True)
        if asked.preview:
            return 0
        if asked.provision:
            lab.provision()
        try:
            _lines_of("dfaas_lab.campaign")
            campaign.run()
        finally:
            print(printable(repr(campaign)), flush=True)
            if asked.export is not None:
                for path in campaign.export_csv(asked.export):
                    print(printable(str(path)))
        return int("failed" in set(campaign.outcomes["status"]))


def _lines_of(name: str) -> None:
    """Print what is logged under a name, with the time: for logs of cron and tmux."""
    import logging

    handler = logging.StreamHandler(sys.stderr)
    bar = "\r\x1b[K" if sys.stderr.isatty() else ""  # a line takes the place of a bar
    handler.setFormatter(logging.Formatter(f"{bar}%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _demo(asked: argparse.Namespace) -> int:
    from dfaas_lab.demo import demonstrate

    # A doubt is a result, and is told with its reason: the demonstration has done its work.
    demonstrate(asked.report, store=asked.store, say=lambda line: print(line, flush=True))
    return 0


def _check(asked: argparse.Namespace) -> int:
    from dfaas_lab.checks.machine import check_machine

    frames = [check_machine()]
    if asked.lab is not None:
        from dfaas_lab.lab import Lab

        with Lab.from_file(asked.lab) as lab:
            frames.append(lab.check())
    return max([_tell(frame) for frame in frames])


def _tell(findings: pl.DataFrame) -> int:
    """Print what was found, a line each, and return the exit code for it."""
    code = 0
    host = ""
    for row in findings.iter_rows(named=True):
        if row["host"] != host:
            host = row["host"]
            print(printable(host))
        mark = {True: "ok", False: "LACKS", None: "-"}[row["ok"]]
        print(f"  {mark:6}{printable(row['check'])}: {printable(row['detail'] or '')}")
        if row["ok"] is not True and row["fix"]:
            print(f"        {'optional: ' if row['ok'] is None else ''}{printable(row['fix'])}")
        code |= row["ok"] is False
    return int(code)


def _serve(asked: argparse.Namespace) -> int:
    from dfaas_lab.local.serve import serve

    serve(asked.write, targets=asked.targets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
