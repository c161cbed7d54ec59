vpc_cidr    = "10.20.0.0/16"
other_cidrs = { staging = "10.21.0.0/16", prod = "10.22.0.0/16" }

models = {
  small  = { model = "amazon.nova-2-lite-v1:0", profile = "us" }
  strong = { model = "amazon.nova-pro-v1:0", profile = "us" }
}

api_may_ingest            = true # uploads in the app are tried here
keep_former_versions_days = 7
log_retention_days        = 30
month_usd                 = 150
