vpc_cidr    = "10.22.0.0/16"
other_cidrs = { dev = "10.20.0.0/16", staging = "10.21.0.0/16" }

models = {
  small  = { model = "amazon.nova-2-lite-v1:0", profile = "us" }
  strong = { model = "amazon.nova-pro-v1:0", profile = "us" }
}

keep_former_versions_days = 90
log_retention_days        = 365
month_usd                 = 1500
