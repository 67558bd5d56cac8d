"""An Application Load Balancer with a Lambda function as its target, on this machine.

It turns HTTP into the function's event, runs the real handler, and turns its answer into HTTP. `event` and `answer` are
the two translations, `permission` the function's resource policy, `function` the invocation, `app` the listener.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
"""
