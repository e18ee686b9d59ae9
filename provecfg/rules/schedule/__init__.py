"""Rules about loops, intervals and schedulers, codes SCHED."""
