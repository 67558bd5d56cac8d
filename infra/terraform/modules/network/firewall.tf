# Who may open a connection to whom. The rules are data: the name of a rule, and what it matches. The first match by priority
# decides; the last four rules deny everything, both ways, for both kinds of addresses.

locals {
  cluster_ranges = [var.node_range, var.pod_range]
  callers        = concat(var.direct_egress[*].range, var.connector[*].range)
  node_accounts  = [var.application_node_account, var.gateway_node_account]

  # Why: the two ranges of the internal passthrough load balancer. The ranges of legacy load balancers (209.85.*) stay shut.
  health_check_ranges = ["35.191.0.0/16", "130.211.0.0/22"]
  # Google's serverless platform, as it talks to a connector: https://docs.cloud.google.com/vpc/docs/serverless-vpc-access
  serverless_range = "35.199.224.0/19"

  # What is not the internet, although 0.0.0.0/0 holds it. The NetworkPolicy of the egress gateway has the same list.
  not_internet = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
  ]

  all       = [{ protocol = "all", ports = [] }]
  tls       = [{ protocol = "tcp", ports = ["443"] }]
  allow_out = { direction = "EGRESS", action = "allow", sources = [], accounts = [] }
  allow_in  = { direction = "INGRESS", action = "allow", destinations = [], accounts = [] }

  rules = merge({
    # --- out of the nodes ---
    nodes-to-cluster = merge(local.allow_out, {
      priority = 1000, accounts = local.node_accounts, destinations = local.cluster_ranges, layer4 = local.all
      why      = "Pods and nodes of the cluster reach each other; NetworkPolicies and the mesh say which may."
    })
    nodes-to-control-plane = merge(local.allow_out, {
      priority = 1010, accounts = local.node_accounts, destinations = [var.control_plane_range]
      layer4   = [{ protocol = "tcp", ports = ["443", "8132"] }]
      why      = "Kubelets and konnectivity agents reach the control plane: the API, and the tunnel that it calls back through."
    })
    nodes-to-google-apis = merge(local.allow_out, {
      # Why: 443 alone. Google's APIs are TLS, and another port at this range would be a way out with another protocol.
      priority = 1020, accounts = local.node_accounts, destinations = [local.google_apis], layer4 = local.tls
      why      = "Images, logs and APIs, at the one virtual address."
    })
    gateway-to-private = {
      # Why: before the internet rule, which would hold networks that are connected later.
      priority     = 1090, direction = "EGRESS", action = "deny", accounts = [var.gateway_node_account], sources = []
      destinations = local.not_internet, layer4 = local.all
      why          = "A request that the egress gateway lets pass must not turn back into this network or a connected one."
    }
    gateway-to-internet = merge(local.allow_out, {
      # Why: by the account of the nodes, which nothing inside a node can change, and not by network tag, which a node's editor can.
      priority = 1100, accounts = [var.gateway_node_account], destinations = ["0.0.0.0/0"]
      layer4   = [{ protocol = "tcp", ports = [for port in var.egress_ports : tostring(port)] }]
      why      = "The egress gateway's nodes reach the internet on the TLS ports of the teams' hosts. No other machine does."
    })

    # --- out of the function ---
    function-to-gateway = merge(local.allow_out, {
      priority = 1200, sources = local.callers, destinations = ["${var.gateway_address}/32"], layer4 = local.tls
      why      = "The function calls the mesh by its internal gateway, and nothing else in the network."
    })
    function-to-google-apis = merge(local.allow_out, {
      priority = 1210, sources = local.callers, destinations = [local.google_apis], layer4 = local.tls
      why      = "The function calls BigQuery, Pub/Sub and Secret Manager at the virtual address."
    })

    # --- into the nodes ---
    function-to-nodes = merge(local.allow_in, {
      # Why: the packet arrives with the load balancer's address as its destination, so no other port of a node is open.
      priority     = 2000, accounts = [var.application_node_account], sources = local.callers
      destinations = ["${var.gateway_address}/32"], layer4 = local.tls
      why          = "The internal load balancer passes the function's connections on to the gateway's nodes, with their source."
    })
    health-checks-to-nodes = merge(local.allow_in, {
      # Why: node ports, one of which Kubernetes picks for the health check of a Service with externalTrafficPolicy Local.
      priority = 2010, accounts = [var.application_node_account], sources = local.health_check_ranges
      layer4   = [{ protocol = "tcp", ports = ["30000-32767"] }]
      why      = "The internal load balancer asks which nodes have a gateway pod."
    })
    cluster-to-nodes = merge(local.allow_in, {
      priority = 2020, accounts = local.node_accounts, sources = local.cluster_ranges, layer4 = local.all
      why      = "Pods and nodes of the cluster reach each other; NetworkPolicies and the mesh say which may."
    })

    # --- nothing else ---
    # Why: 65530 and above, so that there is room before the implied rules, which allow everything out at 65535.
    deny-egress-ipv4 = {
      priority     = 65530, direction = "EGRESS", action = "deny", accounts = [], sources = []
      destinations = ["0.0.0.0/0"], layer4 = local.all
      why          = "Nothing leaves that no rule above names."
    }
    deny-egress-ipv6 = {
      # Why: rules for IPv4 do not see IPv6, and a subnet can be given an IPv6 range later.
      priority     = 65531, direction = "EGRESS", action = "deny", accounts = [], sources = []
      destinations = ["::/0"], layer4 = local.all
      why          = "Nothing leaves over IPv6."
    }
    deny-ingress-ipv4 = {
      priority     = 65532, direction = "INGRESS", action = "deny", accounts = [], sources = ["0.0.0.0/0"]
      destinations = [], layer4 = local.all
      why          = "Nothing arrives that no rule above names."
    }
    deny-ingress-ipv6 = {
      priority     = 65533, direction = "INGRESS", action = "deny", accounts = [], sources = ["::/0"]
      destinations = [], layer4 = local.all
      why          = "Nothing arrives over IPv6."
    }
    }, { for name, rule in local.connector_rules : name => rule if var.connector != null },
  { for name, rule in local.dataflow_rules : name => rule if var.dataflow_worker_account != "" })

  # The connector's own machines, which belong to Google.
  connector_rules = {
    serverless-to-connector = merge(local.allow_in, {
      priority = 2100, sources = [local.serverless_range], destinations = var.connector[*].range
      layer4   = [{ protocol = "tcp", ports = ["667"] }, { protocol = "udp", ports = ["665-666"] }, { protocol = "icmp", ports = [] }]
      why      = "Google's serverless platform reaches the connector's machines."
    })
    health-checks-to-connector = merge(local.allow_in, {
      # Why: the two ranges that Google's page names today. Older guides have 108.170.220.0/23 as well.
      priority = 2110, sources = local.health_check_ranges, destinations = var.connector[*].range
      layer4   = [{ protocol = "tcp", ports = ["667"] }]
      why      = "Health checks of the connector's machines."
    })
    connector-to-serverless = merge(local.allow_out, {
      priority = 1220, sources = var.connector[*].range, destinations = [local.serverless_range]
      layer4   = [{ protocol = "tcp", ports = ["667"] }, { protocol = "udp", ports = ["665-666"] }, { protocol = "icmp", ports = [] }]
      why      = "The connector's machines answer Google's serverless platform."
    })
  }

  # Workers of a Dataflow job take addresses of the function's subnet, so they reach what the function does. They also exchange
  # data of a batch job, or of a stream without Streaming Engine: https://cloud.google.com/dataflow/docs/guides/routes-firewall
  dataflow_rules = {
    dataflow-to-dataflow = merge(local.allow_out, {
      priority = 1230, accounts = [var.dataflow_worker_account], destinations = var.direct_egress[*].range
      layer4   = [{ protocol = "tcp", ports = ["12345-12346"] }]
      why      = "Workers of a Dataflow job send each other data."
    })
    dataflow-from-dataflow = merge(local.allow_in, {
      # Why: the same subnet holds instances of the function. They have no such account, so nothing reaches them.
      priority = 2200, accounts = [var.dataflow_worker_account], sources = var.direct_egress[*].range
      layer4   = [{ protocol = "tcp", ports = ["12345-12346"] }]
      why      = "Workers of a Dataflow job get data from each other."
    })
  }
}

resource "google_compute_network_firewall_policy" "this" {
  project     = var.project_id
  name        = "${var.name}-policy"
  description = "Default deny in both directions, with named exceptions."
}

resource "google_compute_network_firewall_policy_rule" "this" {
  for_each = local.rules

  project         = var.project_id
  firewall_policy = google_compute_network_firewall_policy.this.name
  rule_name       = each.key
  description     = each.value.why
  priority        = each.value.priority
  direction       = each.value.direction
  action          = each.value.action
  # Why: denied connections show an attack or a mistake, allowed ones who used an exception.
  enable_logging = true
  # Why: by service account. It is the machine's identity, and giving it to another machine needs the right to act as it.
  target_service_accounts = length(each.value.accounts) == 0 ? null : each.value.accounts

  match {
    src_ip_ranges  = length(each.value.sources) == 0 ? null : each.value.sources
    dest_ip_ranges = length(each.value.destinations) == 0 ? null : each.value.destinations

    dynamic "layer4_configs" {
      for_each = each.value.layer4

      content {
        ip_protocol = layer4_configs.value.protocol
        ports       = length(layer4_configs.value.ports) == 0 ? null : layer4_configs.value.ports
      }
    }
  }
}

resource "google_compute_network_firewall_policy_association" "this" {
  project           = var.project_id
  name              = "${var.name}-policy"
  firewall_policy   = google_compute_network_firewall_policy.this.name
  attachment_target = google_compute_network.this.id

  # Why: with no rule but the implied ones a policy allows everything out. It is attached once it is whole.
  depends_on = [google_compute_network_firewall_policy_rule.this]
}
