"""Whether what the validation and the test read can be predicted, and measured."""
