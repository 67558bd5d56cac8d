"""A Lambda function behind an Application Load Balancer, reached from another cloud through two meshes.

`event` reads what the load balancer sends, `answer` writes what it takes, `routes` decides in between, `page` and
`lookup` are the two things to ask for. Only `lookup` loads an HTTP client, at the first request for it.
"""
