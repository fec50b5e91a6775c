"""Values that were hidden once, or are known to be secret: hidden wherever they stand from then on."""
