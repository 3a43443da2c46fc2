"""Arm Firmware Framework for Armv8-A (DEN0077A v1.2): data and state shared by the NS-EL2 proxy and the S-EL2 SPMC.

Nothing here runs guest code or touches translation tables. Managers parse with `descriptors`, ask `check_*` methods
whether a request may go on, change their tables, then `commit_*`, which cannot fail.
"""
