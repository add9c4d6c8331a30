"""Campaigns: a plan of loads measured on some targets, with cooldown, overload and resume."""
