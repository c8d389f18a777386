"""What is done with a trained network: calculators for ASE and other programs."""
