"""Progress views: bars and a live chart in a notebook, a line in a terminal, or nothing.

They draw what :mod:`dfaas_lab.progress` and :mod:`dfaas_lab.k6.live` hold, and decide nothing. A
view never fails: what cannot be drawn is not drawn.
"""

from dfaas_lab.widgets.busy import busy
from dfaas_lab.widgets.choose import SafeView, SilentView, Together, choose_view, is_watched
from dfaas_lab.widgets.job import show_job
from dfaas_lab.widgets.live_chart import chart_view, forget_figure
from dfaas_lab.widgets.notebook import NotebookView
from dfaas_lab.widgets.terminal import TerminalView

__all__ = [
    "NotebookView",
    "SafeView",
    "SilentView",
    "TerminalView",
    "Together",
    "busy",
    "chart_view",
    "choose_view",
    "forget_figure",
    "is_watched",
    "show_job",
]
