"""Campaigns: a plan of loads measured on one or more targets, with cooldown, overload and resume."""
