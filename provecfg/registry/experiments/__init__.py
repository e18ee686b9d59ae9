"""What classes refuse when they are tried: found by experiment when a snapshot is made, and looked up by `validate`.

`domains` is the table: of each argument, the kinds of values that its class was seen to refuse. The rest makes it:
`variations` changes an argument by operators that know nothing of it, `inference` concludes from what is refused,
`trial_process` tries in a process of its own, `subjects` builds the real classes and sends a small input through.
"""
