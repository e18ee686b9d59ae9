"""What trains a study's cells: this machine, Slurm, LSF, Kubernetes. A script, a submission, a state each."""
