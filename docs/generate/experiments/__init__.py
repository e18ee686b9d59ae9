"""What classes refuse when they are tried: found by experiment when a snapshot is made.

`variations` changes an argument by operators that know nothing of it, `inference` concludes from what is refused,
`trial_process` tries in a process of its own, `subjects` builds the real classes and sends a small input through, and
`tried_domains` keeps what `provecfg.registry.domains` looks up.
"""
