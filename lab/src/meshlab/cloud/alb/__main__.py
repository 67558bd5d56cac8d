"""`python -m meshlab.cloud.alb`: the load balancer as a process, with TLS."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from meshlab.cloud import serving
from meshlab.cloud.alb.lambda_event import TargetGroup
from meshlab.cloud.alb.lambda_function import Function, load_handler
from meshlab.cloud.alb.load_balancer import LoadBalancerApp
from meshlab.cloud.alb.permission import require_permission
from meshlab.errors import LabError


def main() -> None:
    """Serve until a signal ends the process; the port may also come from the environment, as `PORT`."""
    parser = serving.argument_parser("meshlab.cloud.alb", __doc__ or "")
    parser.add_argument("--function", type=Path, required=True, help="directory of the function's code")
    parser.add_argument("--handler", default="lambda_function.lambda_handler", help="MODULE.FUNCTION")
    parser.add_argument("--function-arn", required=True, help="the function's ARN")
    parser.add_argument("--policy", type=Path, required=True, help="the function's resource policy, JSON")
    parser.add_argument("--target-group", required=True, help="the target group's ARN")
    parser.add_argument("--account", required=True, help="the AWS account")
    parser.add_argument("--multi-value", action="store_true", help="multi-value headers are enabled")
    parser.add_argument("--host", default="", help="the host of the listener's rule; without it, every host")
    parser.add_argument("--timeout", type=float, default=10.0, help="the function's time limit, in seconds")
    parser.add_argument(
        "--health-check", default="", metavar="PATH", help="check the health once at the start"
    )
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file of the listener's chain")
    parser.add_argument("--key", type=Path, required=True, help="PEM file of its key")
    options = parser.parse_args()
    try:
        require_permission(
            json.loads(options.policy.read_text()),
            options.function_arn,
            options.target_group,
            options.account,
        )
        function = Function(load_handler(options.function, options.handler), options.timeout)
        app = LoadBalancerApp(TargetGroup(options.target_group, options.multi_value), function, options.host)
        if options.health_check and not asyncio.run(app.is_healthy(options.health_check)):
            # With all targets unhealthy the load balancer goes on to use them, and so does this.
            sys.stderr.write("load balancer: the function is unhealthy\n")
    except (LabError, OSError, ValueError) as error:
        raise SystemExit(f"meshlab.cloud.alb: {error}") from None
    port = options.port or int(os.environ.get("PORT", "0"))
    serving.serve(app, port, certificate=(options.certificate, options.key))


if __name__ == "__main__":
    main()
