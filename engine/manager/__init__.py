"""What both partition managers do alike: the relayer at NS-EL2 for its VMs, the SPMC at S-EL2 for its partitions."""
