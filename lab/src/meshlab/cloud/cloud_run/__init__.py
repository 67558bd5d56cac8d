"""Cloud Run's front door on this machine: the check of callers by IAM that a request passes before its container.

`invokers` reads who has `roles/run.invoker`, `front_door` writes the configuration of the Envoy that does the check,
`error_pages` what it answers a caller that does not get in, and `running` runs it.
"""
