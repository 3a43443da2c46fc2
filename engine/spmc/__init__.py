"""S-EL2: the secure partition manager core (DEN0077A v1.2), as readable Python on the traps of secure partitions."""
