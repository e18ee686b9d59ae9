"""Checks on the real classes that what a config declares is what trains.

The second judge: it shares nothing with `provecfg.rules`. It executes the config.
"""
