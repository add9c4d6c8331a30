"""dfaas_lab: measure DFaaS nodes (OpenFaaS functions at the edge) from a notebook.

Names are imported when they are first used, so that ``import dfaas_lab`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dfaas_lab.analysis.doubt import Doubt, Verdict
    from dfaas_lab.campaign.campaign import Campaign
    from dfaas_lab.campaign.cooldown import Cooldown
    from dfaas_lab.campaign.overload import Overload
    from dfaas_lab.comparison import Comparison, compare
    from dfaas_lab.config import Host, Limits
    from dfaas_lab.errors import (
        CampaignError,
        CommandFailed,
        ConfigError,
        ConnectionFailed,
        CooldownTimeout,
        DfaasLabError,
        GatewayError,
        HostUnreachable,
        K6Crashed,
        K6Error,
        K6Interrupted,
        K6Missing,
        K6ScriptError,
        K6TimedOut,
        MetricsError,
        ProvisionError,
        RemoteError,
        ResultsUnreadable,
        ResumeMismatch,
        ServiceError,
        StoreError,
        TaskFailed,
        TransferFailed,
        WorkspaceError,
    )
    from dfaas_lab.execution.run_handle import RunHandle
    from dfaas_lab.generator import Generator
    from dfaas_lab.lab import Lab
    from dfaas_lab.load.function import Function
    from dfaas_lab.load.plan import Plan
    from dfaas_lab.load.rates import Custom, Exponential, Linear, Random
    from dfaas_lab.provision.report import ProvisionReport
    from dfaas_lab.run import Run
    from dfaas_lab.target import Target

# Where each name is; what is not listed here is an error.
_HOMES = {
    "analysis.doubt": ("Doubt", "Verdict"),
    "campaign.campaign": ("Campaign",),
    "campaign.cooldown": ("Cooldown",),
    "campaign.overload": ("Overload",),
    "comparison": ("Comparison", "compare"),
    "config": ("Host", "Limits"),
    "execution.run_handle": ("RunHandle",),
    "generator": ("Generator",),
    "lab": ("Lab",),
    "load.function": ("Function",),
    "load.plan": ("Plan",),
    "load.rates": ("Custom", "Exponential", "Linear", "Random"),
    "provision.report": ("ProvisionReport",),
    "run": ("Run",),
    "target": ("Target",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__version__ = "0.1.0"

__all__ = [
    "Campaign",
    "CampaignError",
    "CommandFailed",
    "Comparison",
    "ConfigError",
    "ConnectionFailed",
    "Cooldown",
    "CooldownTimeout",
    "Custom",
    "DfaasLabError",
    "Doubt",
    "Exponential",
    "Function",
    "GatewayError",
    "Generator",
    "Host",
    "HostUnreachable",
    "K6Crashed",
    "K6Error",
    "K6Interrupted",
    "K6Missing",
    "K6ScriptError",
    "K6TimedOut",
    "Lab",
    "Limits",
    "Linear",
    "MetricsError",
    "Overload",
    "Plan",
    "ProvisionError",
    "ProvisionReport",
    "Random",
    "RemoteError",
    "ResultsUnreadable",
    "ResumeMismatch",
    "Run",
    "RunHandle",
    "ServiceError",
    "StoreError",
    "Target",
    "TaskFailed",
    "TransferFailed",
    "Verdict",
    "WorkspaceError",
    "compare",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
