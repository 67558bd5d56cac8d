"""The function against its peers: the same events, the same service, the same table, in one run.

`workload` says what the work is. `service` and `bigquery` are the two servers that every contender talks to, by `wire`;
`load` delivers events as Pub/Sub's push does. Each of the three is a lean process of its own, so that the machine's
time goes to the contenders. `stage` puts them up, `push` and `pull` run a contender on it, and `suite` compares.
"""
